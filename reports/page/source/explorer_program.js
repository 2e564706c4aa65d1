// The explorer's program: the models and estimates of sextant itself, as WebAssembly out of this page. No formula is here.

const notThere = 52; // ENOSYS: the program has no files, no clock and no environment

function bytesOf(id) {
  const text = atob(document.getElementById(id).textContent);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

async function unpacked(id) {
  const stream = new Blob([bytesOf(id)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** What the program may call: an empty environment, and nothing else works. */
function imports(module, memory) {
  const known = {
    environ_sizes_get: (count, size) => {
      const view = new DataView(memory().buffer);
      view.setUint32(count, 0, true);
      view.setUint32(size, 0, true);
      return 0;
    },
    environ_get: () => 0,
    emscripten_notify_memory_growth: () => {},
    proc_exit: () => { throw new Error("the program ended"); },
  };
  const made = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module))
    if (kind === "function") (made[from] ??= {})[name] = known[name] ?? (() => notThere);
  return made;
}

/** Loads the program and opens it with what the page holds: a function from a point to its answer. */
export async function openProgram() {
  const module = await WebAssembly.compile(await unpacked("explorer-program"));
  let instance = null;
  const memory = () => instance.exports.memory;
  instance = await WebAssembly.instantiate(module, imports(module, memory));
  const program = instance.exports;
  program._initialize?.();
  const give = (bytes) => {
    const place = program.explorer_room(bytes.length);
    new Uint8Array(memory().buffer, place, bytes.length).set(bytes);
  };
  const take = (place) => {
    const all = new Uint8Array(memory().buffer);
    return JSON.parse(new TextDecoder().decode(all.subarray(place, all.indexOf(0, place))));
  };
  give(await unpacked("explorer-input"));
  const opened = take(program.explorer_open());
  if (opened.error) throw new Error(opened.error);
  return (point) => {
    give(new TextEncoder().encode(JSON.stringify(point)));
    return take(program.explorer_answer());
  };
}
