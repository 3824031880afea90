// The main process of an Electron-like app: a window asks by messages, and the event loop stays free meanwhile.
//
//     node main.js LIBRARY BUNDLE "Operating profit rose to EUR 13.1 mn."
//
// In Electron `ipc` is ipcMain, and the window calls ipcRenderer.invoke('classify', texts).
'use strict';
const {Model} = require('./leanbert.js');

const handlers = new Map();
const ipc = {handle: (channel, handler) => handlers.set(channel, handler)};
const invoke = async (channel, ...values) => handlers.get(channel)({}, ...values);

async function main([library, bundle, ...texts]) {
  const model = new Model(library, bundle);
  ipc.handle('classify', (_event, given) => model.classify(given));

  let ticks = 0;  // what a window draws meanwhile
  const clock = setInterval(() => ticks++, 1);
  try {
    const page = Array.from({length: 400}, (_, i) => `${texts[i % texts.length]} (${i})`);
    const answers = await Promise.all([invoke('classify', texts), invoke('classify', page)]);
    if (!ticks) throw new Error('the event loop was held up');
    console.log(JSON.stringify(answers[0]));
  } finally {
    clearInterval(clock);
    model.close();
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`main.js: ${error.message}`);
  process.exitCode = 1;
});
