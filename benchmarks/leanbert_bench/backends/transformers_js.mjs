// The other end of transformers_js.py: a line of JSON in, a line of JSON out.
// Arguments: the folder of node_modules, the model's folder, the task, the number of threads.
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [modules, model, task, threads] = process.argv.slice(2);
const found = createRequire(join(modules, "index.js")).resolve("@huggingface/transformers");
const { env, pipeline } = await import(pathToFileURL(found));

env.allowRemoteModels = false;
env.localModelPath = dirname(model);

const options = {
  dtype: "q8",
  device: "cpu",
  session_options: { intraOpNumThreads: Number(threads), interOpNumThreads: 1 },
};
const call = task === "text-classification" ? { top_k: null } : { pooling: "mean" };
let answer = null;

const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");

for await (const line of createInterface({ input: process.stdin })) {
  try {
    const { texts } = JSON.parse(line);
    answer ??= await pipeline(task, basename(model), options);
    if (texts === undefined) {
      say({});
      continue;
    }
    const made = await answer(texts, call);
    say({ rows: task === "text-classification" ? made : made.tolist() });
  } catch (error) {
    say({ error: String(error) });
  }
}
