// Building the page. Text only ever enters as text nodes: nothing in a result becomes markup.

/** An element with attributes and children (nodes, or values that become text). */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same in SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== null) node.setAttribute(key, value);
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(shown(child)));
  }
  return node;
}

/** Text without characters that reorder or hide its neighbours. */
export function shown(value) {
  return String(value).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, "\u25af");
}

let scrollers = 0;

/** A table: columns [{name, of(row), number, text}] over rows, in a region that scrolls by keyboard too. */
export function table(caption, columns, rows, free = false) {
  const cell = (column, row) => {
    const value = column.of(row);
    const kind = column.number ? "number" : column.text ? "text" : null;
    return element("td", { class: kind }, value instanceof Node ? value : column.number ? number(value) : value ?? "");
  };
  const head = element("tr", {}, columns.map((column) => element("th", { scope: "col", class: column.number ? "number" : null }, column.name)));
  const body = rows.map((row) => element("tr", {}, columns.map((column) => cell(column, row))));
  scrollers += 1;
  return element("div", { class: free ? "scroll free" : "scroll", tabindex: 0, role: "region", "aria-label": `${shown(caption)} (table ${scrollers})` },
    element("table", {}, element("thead", {}, head), element("tbody", {}, body)));
}

/** A table behind a line to open it. */
export function folded(title, ...content) {
  return element("details", {}, element("summary", {}, title), ...content);
}

/** Three significant digits below 1,000, whole numbers with separators above. */
export function number(value) {
  if (value === null || value === undefined || value === "") return "";
  if (typeof value !== "number") return shown(value);
  if (!Number.isFinite(value)) return "\u2013";
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1);
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}

export function percent(share) {
  return Number.isFinite(share) ? `${number(100 * share)} %` : "";
}

export function change(from, to) {
  if (!(from > 0) || !Number.isFinite(to)) return "";
  const difference = 100 * (to / from - 1);
  return `${difference >= 0 ? "+" : "\u2212"}${Math.abs(difference).toFixed(1)} %`;
}

/** Milliseconds as a person says them: [value, unit, milliseconds in the unit]. */
export function duration(ms) {
  if (!Number.isFinite(ms)) return ["\u2013", "", 1];
  if (ms >= 120000) return [number(ms / 60000), "min", 60000];
  if (ms >= 2000) return [number(ms / 1000), "s", 1000];
  return [number(ms), "ms", 1];
}

export function gradeBadge(grade) {
  const known = ["measured", "fitted", "scaled", "datasheet", "assumed"].includes(grade);
  return element("span", { class: known ? `grade ${grade}` : "grade" }, grade ?? "");
}

const names = {
  request_throughput: "Request throughput (req/s)", output_throughput: "Output throughput (tok/s)",
  total_token_throughput: "Total token throughput (tok/s)", request_goodput: "Request goodput (req/s)",
  goodput_fraction: "Share of good requests", kv_tokens: "Tokens a replica caches", gpu_watts: "GPU power (W)",
  joules_per_output_token: "Energy per output token (J)", usd_per_million_output_tokens: "USD per million output tokens",
};

/** p99_ttft_ms -> "P99 TTFT (ms)". */
export function metricName(metric) {
  if (names[metric]) return names[metric];
  const parts = /^(mean|median|p\d+)_(\w+)_ms$/.exec(metric);
  return parts ? `${parts[1][0].toUpperCase()}${parts[1].slice(1)} ${parts[2].toUpperCase()} (ms)` : String(metric).replaceAll("_", " ");
}

export function layoutName(layout) {
  if (!layout) return "";
  const split = layout.pp > 1 && layout.split ? `, layers ${layout.split}` : "";
  return `tp ${layout.tp} \u00d7 pp ${layout.pp} \u00d7 dp ${layout.dp}${split}`;
}

export const list = (value) => (Array.isArray(value) ? value : []);
export const finite = (value) => (Number.isFinite(value) ? value : null);
