// The networks' own thread: ONNX Runtime holds them here, and the page stays free to be drawn and dragged.

const VENDOR = new URL("../vendor/onnxruntime-web/", import.meta.url);
// WebAssembly runs everywhere. WebGPU's runtime is twice as large, and is fetched only where it is chosen.
const RUNTIMES = {
  wasm: ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"],
  webgpu: ["ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm"],
};
let ort;
const sessions = new Map(); // address of a network -> its session

const tasks = {
  async start({ provider }) {
    const [module, wasm] = RUNTIMES[provider];
    ort = await import(new URL(module, VENDOR));
    ort.env.wasm.numThreads = 1; // more would take headers that simple servers do not send
    ort.env.wasm.wasmPaths = { wasm: new URL(wasm, VENDOR).href };
  },

  /** Of each network all stages on pixels (size x size, red green blue opacity), and the pass's time. */
  async run({ addresses, provider, pixels, size }) {
    const images = new ort.Tensor("float32", planes(pixels), [1, 3, size, size]);
    const looks = [];
    for (const address of addresses) {
      const session = sessions.get(address) ?? (await load(address, provider));
      const start = performance.now();
      const found = await session.run({ images });
      const milliseconds = performance.now() - start;
      const stages = Object.keys(found).map((_, k) => found[`stage${k + 1}`].data.slice());
      looks.push({ stages, milliseconds });
    }
    return looks;
  },
};

async function load(address, provider) {
  const options = { executionProviders: [provider], logSeverityLevel: 3 };
  const session = await ort.InferenceSession.create(address, options);
  sessions.set(address, session);
  return session;
}

/** Bytes, pixel by pixel, as numbers in [0, 1], colour by colour. */
function planes(pixels) {
  const count = pixels.length / 4;
  const values = new Float32Array(3 * count);
  for (let k = 0; k < count; k++) {
    for (let colour = 0; colour < 3; colour++) values[colour * count + k] = pixels[4 * k + colour] / 255;
  }
  return values;
}

addEventListener("message", async ({ data: { number, task, ...given } }) => {
  try {
    const answer = await tasks[task](given);
    const handed = (answer ?? []).flatMap(({ stages }) => stages.map((each) => each.buffer));
    postMessage({ number, answer }, handed);
  } catch (error) {
    postMessage({ number, error: String(error?.message ?? error) });
  }
});
