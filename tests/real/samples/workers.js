// SPDX-License-Identifier: MIT
// workers.js - what makes threads in Node.js: workers, the pool behind files,
// names and ciphers.  The output is the same, whoever runs them.
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");
const crypto = require("crypto");
const dns = require("dns");
const fs = require("fs");
const net = require("net");
const zlib = require("zlib");
const { execFile } = require("child_process");
const { promisify } = require("util");

if (!isMainThread) {
  const shared = new Int32Array(workerData.shared);
  for (let i = 0; i < 1000; i++) Atomics.add(shared, 0, 1);
  Atomics.wait(shared, 1, 0); // until main says so
  let sum = 0;
  for (let i = 0; i < 1e6; i++) sum += i % 7;
  parentPort.postMessage(sum + workerData.n);
} else {
  const workers = async () => {
    const shared = new SharedArrayBuffer(8);
    const view = new Int32Array(shared);
    const all = [...Array(8).keys()].map((n) => new Promise((ok, bad) => {
      const w = new Worker(__filename, { workerData: { n, shared } });
      w.on("message", ok).on("error", bad);
    }));
    while (Atomics.load(view, 0) < 8000) await new Promise((ok) => setTimeout(ok, 1));
    Atomics.store(view, 1, 1);
    Atomics.notify(view, 1);
    return (await Promise.all(all)).reduce((a, b) => a + b);
  };
  const ciphers = async () => {
    const f = promisify(crypto.pbkdf2);
    const keys = await Promise.all([...Array(20).keys()].map((i) => f("a" + i, "s", 1000, 32, "sha256")));
    return crypto.createHash("sha256").update(Buffer.concat(keys)).digest("hex");
  };
  const files = async () => {
    const dir = fs.mkdtempSync("node");
    await Promise.all([...Array(50).keys()].map((i) => fs.promises.writeFile(`${dir}/${i}`, "x".repeat(i * 100))));
    const all = await Promise.all([...Array(50).keys()].map((i) => fs.promises.readFile(`${dir}/${i}`)));
    await fs.promises.rm(dir, { recursive: true });
    return all.reduce((n, b) => n + b.length, 0);
  };
  const sockets = () => new Promise((ok) => {
    let right = 0, left = 50;
    const server = net.createServer((c) => c.pipe(c)).listen(0, "127.0.0.1", () => {
      for (let i = 0; i < 50; i++) {
        let got = "";
        net.connect(server.address().port, "127.0.0.1", function () { this.end("hello " + i); })
          .on("data", (d) => { got += d; })
          .on("end", () => {
            right += got === "hello " + i;
            if (--left === 0) server.close(() => ok(right));
          });
      }
    });
  });
  (async () => {
    console.log("workers", await workers());
    console.log("ciphers", await ciphers());
    console.log("files", await files());
    console.log("sockets", await sockets());
    console.log("names", (await promisify(dns.lookup)("localhost", { family: 4 })).address);
    const packed = await promisify(zlib.gzip)("x".repeat(1e6));
    console.log("zlib", (await promisify(zlib.gunzip)(packed)).length);
    console.log("children", (await promisify(execFile)("echo", ["sub"])).stdout.trim());
    process.exit(3);
  })();
}
