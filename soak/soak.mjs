// Soak tests: thousands of messages through real Node-REDs while everything fails that can.
//
//   npm run soak                 direct delivery: see direct.mjs for its options
//   npm run soak -- --durable    durable delivery: see durable.mjs
await import(process.argv.includes('--durable') ? './durable.mjs' : './direct.mjs')
