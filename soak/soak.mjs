// Soak tests: send thousands of messages through real Node-RED processes, with every failure that can be simulated.
//
//   npm run soak                 direct delivery: see direct.mjs for its options
//   npm run soak -- --durable    durable delivery: see durable.mjs
//   npm run soak -- --steady     durable delivery at an even pace: see steady.mjs
//   npm run soak -- --folder     durable delivery of a folder that is full: see folder.mjs
const kind = ['durable', 'steady', 'folder'].find((name) => process.argv.includes(`--${name}`)) ?? 'direct'
await import(`./${kind}.mjs`)
