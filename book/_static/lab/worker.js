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

  async load({ address, provider }) {
    if (sessions.has(address)) return;
    const options = { executionProviders: [provider], logSeverityLevel: 3 };
    sessions.set(address, await ort.InferenceSession.create(address, options));
  },

  /** All stages of one network on pixels (size x size, red green blue opacity), and the pass's time. */
  async run({ address, pixels, size }) {
    const images = new ort.Tensor("float32", planes(pixels), [1, 3, size, size]);
    const start = performance.now();
    const found = await sessions.get(address).run({ images });
    const milliseconds = performance.now() - start;
    const stages = Object.keys(found).map((_, k) => found[`stage${k + 1}`].data.slice());
    return { stages, milliseconds };
  },
};

/** Bytes, pixel by pixel, as numbers in [0, 1], colour by colour. */
function planes(pixels) {
  const count = pixels.length / 4;
  return Float32Array.from({ length: 3 * count }, (_, k) => {
    return pixels[4 * (k % count) + Math.floor(k / count)] / 255;
  });
}

addEventListener("message", async ({ data: { number, task, ...given } }) => {
  try {
    const answer = await tasks[task](given);
    postMessage(
      { number, answer },
      (answer?.stages ?? []).map((each) => each.buffer),
    );
  } catch (error) {
    postMessage({ number, error: String(error?.message ?? error) });
  }
});
