// The cluster as a drawing: nodes as boxes, their parts in tiers, the layout on the GPUs, links coloured by use.
import { keyOf } from "./chart.js";
import { element, folded, list, number, percent, shown, svg, table } from "./dom.js";

const stageColours = ["var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c7)", "var(--c8)", "var(--c6)"];
const tiers = { "gpu": 0, "nvswitch": 1, "PCIe switch": 1, "pcie switch": 1, "root complex": 2, "nic": 3 };
const size = { gpuWide: 92, gpuHigh: 58, partHigh: 24, gap: 14, tierGap: 34, pad: 14, head: 26, switchHigh: 26 };
const mostNodes = 24;

const tierOf = (device) => tiers[device.kind] ?? (device.kind.includes("switch") ? 1 : 2);
const shortName = (name) => shown(name.includes("/") ? name.slice(name.lastIndexOf("/") + 1) : name);
const fit = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}\u2026` : text);

/** Which stage, replica and rank each GPU has, by name. */
function roles(layout) {
  const known = new Map();
  list(layout?.replicas).forEach((replica, r) => list(replica).forEach((stage, s) => list(stage.gpus).forEach((gpu, rank) =>
    known.set(gpu, { replica: r, stage: s, rank, layers: stage.layers, of: list(stage.gpus).length }))));
  return known;
}

function useColour(use) {
  if (!Number.isFinite(use)) return "var(--use0)";
  if (use < 0.5) return `color-mix(in oklab, var(--use1) ${Math.round(200 * Math.min(use, 0.5))}%, var(--use0))`;
  return `color-mix(in oklab, var(--use2) ${Math.round(200 * Math.min(use - 0.5, 0.5))}%, var(--use1))`;
}

/** Where each device stands: {index: {x, y, wide, high}} of a node whose corner is at 0, 0. */
function placeNode(members) {
  const rows = new Map();
  for (const member of members) {
    const tier = tierOf(member.device);
    if (!rows.has(tier)) rows.set(tier, []);
    rows.get(tier).push(member);
  }
  const wideOf = (tier) => (tier === 0 ? size.gpuWide : 74);
  const perRow = 8;
  let inner = 150;
  for (const [tier, row] of rows) inner = Math.max(inner, Math.min(row.length, perRow) * (wideOf(tier) + size.gap) - size.gap);
  const places = new Map();
  let y = size.head + 6;
  for (const tier of [...rows.keys()].sort()) {
    const row = rows.get(tier), high = tier === 0 ? size.gpuHigh : size.partHigh;
    for (let start = 0; start < row.length; start += perRow) {
      const part = row.slice(start, start + perRow);
      const step = inner / part.length;
      part.forEach((member, i) => {
        const wide = Math.min(wideOf(tier), step - 6);
        places.set(member.index, { x: size.pad + step * (i + 0.5) - wide / 2, y, wide, high });
      });
      y += high + (start + perRow < row.length ? size.gap : 0);
    }
    y += size.tierGap;
  }
  return { places, wide: inner + 2 * size.pad, high: y - size.tierGap + size.pad };
}

function drawGpu(place, device, role, many) {
  const colour = role ? stageColours[role.stage % stageColours.length] : "var(--idle)";
  const label = role ? `stage ${role.stage}` : "idle";
  const second = role ? [many ? `replica ${role.replica}` : null, role.of > 1 ? `rank ${role.rank}` : null].filter(Boolean).join(", ")
    || (role.layers ? `layers ${role.layers.begin}\u2013${role.layers.end - 1}` : "") : "";
  const words = role ? `${device.name} (${device.model}): replica ${role.replica}, stage ${role.stage}, rank ${role.rank}`
    + (role.layers ? `, layers ${role.layers.begin} to ${role.layers.end - 1}` : "") : `${device.name} (${device.model}): not used`;
  const middle = place.x + place.wide / 2;
  const text = (y, content, attributes) => svg("text", { x: middle, y: place.y + y, "text-anchor": "middle", fill: "var(--ink)", ...attributes }, fit(content, 15));
  return svg("g", {}, svg("title", {}, words),
    svg("rect", { x: place.x, y: place.y, width: place.wide, height: place.high, rx: 7, fill: "var(--card)", stroke: colour, "stroke-width": 2 }),
    svg("rect", { x: place.x, y: place.y, width: place.wide, height: 7, rx: 3, fill: colour }),
    text(21, shortName(device.name), { "font-size": 11, fill: "var(--quiet)" }), text(36, label, { "font-size": 13, "font-weight": 650 }),
    second ? text(50, second, { "font-size": 10.5 }) : null);
}

function drawPart(place, device) {
  const name = device.kind === "nic" || !device.model ? shortName(device.name) : device.model;
  return svg("g", {}, svg("title", {}, `${device.name}: ${device.kind}${device.model ? ` ${device.model}` : ""}`),
    svg("rect", { x: place.x, y: place.y, width: place.wide, height: place.high, rx: 5, fill: "var(--card)", stroke: "var(--line)" }),
    svg("text", { x: place.x + place.wide / 2, y: place.y + place.high / 2 + 4, "text-anchor": "middle", "font-size": 11, fill: "var(--ink)" }, fit(shown(name), Math.floor(place.wide / 6.2))));
}

const centre = (place) => [place.x + place.wide / 2, place.y + place.high / 2];

function drawLink(link, places, labelled) {
  const from = places.get(link.from), to = places.get(link.to);
  if (!from || !to) return null;
  const [x1, y1] = centre(from), [x2, y2] = centre(to);
  const level = Math.abs(y1 - y2) < 2 && Math.abs(x1 - x2) > from.wide * 1.5;
  const low = Math.max(from.y + from.high, to.y + to.high) + 22;
  // A cable between nodes that stand below each other goes round by the left.
  const round = from.kind === "nic" && to.kind === "nic" && !level, aside = -22;
  const path = round ? `M${from.x},${y1} C${aside},${y1} ${aside},${y2} ${to.x},${y2}` : level ? `M${x1},${y1} C${x1},${low + 14} ${x2},${low + 14} ${x2},${y2}` : `M${x1},${y1} L${x2},${y2}`;
  const width = 1.6 + 3.4 * Math.sqrt(Math.min(1, link.use ?? 0));
  const words = `${link.kind}, ${number(link.gbps)} \u00d7 10\u2079 B/s: ${Number.isFinite(link.use) ? `in use ${percent(link.use)} of the run` : "use not known"}`
    + (list(link.carries).length ? ` (${link.carries.join("; ")})` : "");
  const line = svg("path", { d: path, fill: "none", stroke: useColour(link.use), "stroke-width": width, "stroke-dasharray": link.use > 0 ? null : "3 4" }, svg("title", {}, words));
  if (!labelled || !(link.use > 0)) return line;
  const [x, y] = round ? [0.125 * (from.x + to.x) + 0.75 * aside, (y1 + y2) / 2] : level ? [(x1 + x2) / 2, y1 + 0.75 * (low + 14 - y1)] : [(x1 + x2) / 2, (y1 + y2) / 2];
  return svg("g", {}, line, svg("text", { x, y: y + 4, "text-anchor": "middle", "font-size": 10, fill: "var(--ink)", stroke: "var(--page)", "stroke-width": 4, "paint-order": "stroke" }, percent(Number(link.use.toPrecision(2)))));
}

/** All nodes side by side in rows, switches below. */
function place(cluster, widest) {
  const members = new Map(), outside = [];
  list(cluster.devices).forEach((device, index) => {
    if (device.node < 0) outside.push({ device, index });
    else if (device.node < mostNodes) (members.get(device.node) ?? members.set(device.node, []).get(device.node)).push({ device, index });
  });
  const boxes = [], places = new Map();
  let x = 0, y = 0, rowHigh = 0, wide = 0;
  for (const node of [...members.keys()].sort((a, b) => a - b)) {
    const made = placeNode(members.get(node));
    if (x > 0 && x + made.wide > widest) [x, y, rowHigh] = [0, y + rowHigh + 26, 0];
    boxes.push({ node, x, y, wide: made.wide, high: made.high });
    for (const [index, at] of made.places) places.set(index, { ...at, x: at.x + x, y: at.y + y, kind: cluster.devices[index].kind });
    x += made.wide + 26;
    wide = Math.max(wide, x - 26);
    rowHigh = Math.max(rowHigh, made.high);
  }
  y += rowHigh;
  if (outside.length > 0) {
    y += 44;
    const step = Math.max(wide, outside.length * 120) / outside.length;
    wide = Math.max(wide, outside.length * 120);
    outside.forEach(({ index }, i) => places.set(index, { x: step * (i + 0.5) - 55, y, wide: 110, high: size.switchHigh }));
    y += size.switchHigh;
  }
  const cables = list(cluster.links).some((link) => cluster.devices[link.from]?.kind === "nic" && cluster.devices[link.to]?.kind === "nic");
  return { boxes, places, wide, high: y + (cables ? 30 : 6) };
}

/** The figure of a cluster, or null without one. */
export function clusterFigure(cluster, layout) {
  if (!cluster || list(cluster.devices).length === 0) return null;
  // Nodes stand below each other where the window is narrow.
  const widest = Math.max(300, Math.min(1060, document.documentElement.clientWidth - 90));
  const known = roles(layout), many = list(layout?.replicas).length > 1;
  const { boxes, places, wide, high } = place(cluster, widest);
  const margin = boxes.some((box) => box.y > 0) ? 24 : 4;
  const devices = cluster.devices, zoom = Math.max(1, Math.min(1.3, widest / wide));
  const drawing = svg("svg", { viewBox: `${-margin} -4 ${wide + margin + 4} ${high + 8}`, width: (wide + margin + 4) * zoom, height: (high + 8) * zoom, role: "img", "font-family": "inherit",
    "aria-label": `${list(cluster.nodes).length} nodes with ${devices.filter((d) => d.kind === "gpu").length} GPUs; the table below lists each GPU's stage and each link's use` });
  for (const box of boxes) {
    const node = cluster.nodes[box.node] ?? { name: "", type: "" };
    drawing.append(svg("g", {}, svg("title", {}, `${node.name}, ${node.type}`),
      svg("rect", { x: box.x, y: box.y, width: box.wide, height: box.high, rx: 12, fill: "var(--page)", stroke: "var(--line)" }),
      svg("text", { x: box.x + 14, y: box.y + 20, "font-size": 13, "font-weight": 650, fill: "var(--ink)" }, fit(shown(node.name), Math.floor(box.wide / 15)),
        svg("tspan", { "font-weight": 400, fill: "var(--quiet)", "font-size": 11 }, `  ${fit(shown(node.type), Math.floor(box.wide / 16))}`))));
  }
  const links = list(cluster.links).map((link) => ({ ...link, of: devices[link.from], to_: devices[link.to] })).filter((link) => link.of && link.to_);
  const labelled = links.filter((link) => link.use > 0).length <= 16;
  for (const link of [...links].sort((a, b) => (a.use ?? 0) - (b.use ?? 0))) drawing.append(drawLink(link, places, labelled) ?? "");
  for (const [index, at] of places) {
    const device = devices[index];
    drawing.append(device.kind === "gpu" ? drawGpu(at, device, known.get(device.name), many) : drawPart(at, device));
  }
  const left = list(cluster.nodes).length - boxes.length;
  const gpus = devices.filter((device) => device.kind === "gpu");
  return element("figure", {},
    element("figcaption", {}, element("p", {}, "GPUs carry the stage they run. A link's colour and width show the share of the run during which hops and collectives are on it, their shares added; dashed links carry nothing."
      + (left > 0 ? ` The first ${boxes.length} of ${boxes.length + left} nodes are drawn.` : ""))),
    keyOf([0.02, 0.25, 0.5, 1].map((use) => ({ name: `${number(100 * use)} % in use`, colour: useColour(use), stroke: true }))),
    element("div", { class: "scroll cluster", tabindex: 0, role: "region", "aria-label": "Drawing of the cluster" }, drawing),
    folded("Table: what runs where", table("What runs where", [
      { name: "GPU", of: (d) => d.name, text: true }, { name: "model", of: (d) => d.model },
      { name: "replica", number: true, of: (d) => known.get(d.name)?.replica }, { name: "stage", number: true, of: (d) => known.get(d.name)?.stage },
      { name: "rank", number: true, of: (d) => known.get(d.name)?.rank },
      { name: "layers", of: (d) => { const l = known.get(d.name)?.layers; return l ? `${l.begin}\u2013${l.end - 1}` : "not used"; } }], gpus)),
    folded("Table: links and their use", table("Links and their use", [
      { name: "from", of: (l) => l.of.name, text: true }, { name: "to", of: (l) => l.to_.name, text: true }, { name: "kind", of: (l) => l.kind },
      { name: "10\u2079 B/s each way", number: true, of: (l) => l.gbps }, { name: "in use", number: true, of: (l) => percent(l.use) },
      { name: "carries", of: (l) => list(l.carries).join("; "), text: true }], links)));
}
