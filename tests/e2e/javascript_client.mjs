// What tests/e2e/test_javascript_client.py runs: the loop by the client, and what it does where things go wrong.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Earshot, EarshotError } from "../../client/js/earshot.js";

const [folder, name] = process.argv.slice(2);
const earshot = new Earshot(); // EARSHOT_URL names the service
const refusal = (promise) => promise.then(() => assert.fail("not refused"), (error) => error);

const phases = [];
const sounds = { rain: `${folder}/train/rain`, rooster: [`${folder}/train/rooster`], "[a, b]": `${folder}/train/helicopter` };
const job = await earshot.teach(name, sounds, { onProgress: ({ state }) => phases.push(state) });
assert.equal(job.adapter.name, name);
assert.deepEqual([phases[0], phases.at(-1)], ["queued", "succeeded"]);

const events = [];
for await (const event of earshot.events(job.id)) events.push(event);
const rest = [];
for await (const event of earshot.events(job.id, { after: events[1].id })) rest.push(event.id);
assert.deepEqual(rest, events.slice(2).map(({ id }) => id));

const paths = ["rooster/1-44831-A.ogg", "rooster/5-233160-A.ogg"].map((path) => `${folder}/held_out/${path}`);
const one = await earshot.classify(name, paths[0]);
assert.deepEqual([one.label, one.unknown, one.adapter.name], ["rooster", false, name]);
const file = new File([readFileSync(paths[1])], "mine.ogg");
const many = await earshot.classify(name, [paths[0], file, `${folder}/README.md`], { topK: 1 });
assert.deepEqual(many.map(({ label }) => label), ["rooster", "rooster", undefined]);
assert.equal(many[1].file, "mine.ogg");
assert.equal(many[2].error.code, "audio_unsupported");

// More than the service takes at once: in batches, in order, and a 429 is waited out as long as it says.
const done = [];
const all = await earshot.classify(name, Array(10).fill(paths).flat(), { onProgress: (progress) => done.push(progress.done) });
assert.equal(all.length, 20);
assert.equal(done.at(-1), 20);
assert.ok(done.length >= 20 / (await earshot.info()).limits.max_files);
assert.ok(all.every(({ label }, i) => label === all[i % 2].label));
assert.equal((await earshot.classify(name, `${folder}/held_out/rain`)).length, 2);

assert.deepEqual((await earshot.adapters()).map((row) => row.name), [name]);
await earshot.setThresholds(name, { sensitivity: "low" });
assert.deepEqual((await earshot.versions(name)).map(({ version, is_current: isCurrent }) => [version, isCurrent]), [[1, false], [2, true]]);
assert.equal((await earshot.promote(name, 1)).current, 1);
const copy = await earshot.importFile(`${name}-copy`, await earshot.exportFile(name));
assert.equal(copy.version, 1);
await earshot.deleteAdapter(`${name}-copy`);
assert.ok((await earshot.jobs({ limit: 1 }))[0].id);

// The same key is the same job.
const options = { wait: false, idempotencyKey: `key-${name}` };
const [first, second] = [await earshot.teach(name, sounds, options), await earshot.teach(name, sounds, options)];
assert.equal(first.id, second.id);
await earshot.cancel(first.id);

const error = await refusal(earshot.adapter("nobody"));
assert.ok(error instanceof EarshotError);
assert.deepEqual([error.code, error.status, error.detail], ["adapter_not_found", 404, error.message]);
assert.ok(error.requestId);
assert.equal((await refusal(earshot.classify(name, `${folder}/README.md`))).code, "audio_unsupported");
assert.equal((await refusal(new Earshot({ url: "http://127.0.0.1:9", retries: 1 }).info())).code, "unreachable");
console.log("all well");
