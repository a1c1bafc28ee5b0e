// The rooms of the code and who may import whom (docs/adr/0008-rooms.md). Each list is in order: a room imports rooms
// before it, never one after it. Type imports count, too.
const SRC = ['shared', 'base', 'file', 'message', 'transport', 'auth', 'redox', 'queue', 'check']
const NODES = ['fields', 'runtime', 'queue', 'connection', 'node', 'editor', 'monitoring']

/** Files at the top of `src` are a room of their own. */
const srcRoom = (room) => (room === 'base' ? '^src/[^/]+\\.ts$' : `^src/${room}/`)
const nodesRoom = (room) => `^nodes/lib/${room}/`

const oneWay = (rooms, pathOf) =>
  rooms.slice(0, -1).map((room, index) => ({
    name: `${pathOf(room)} is below`,
    severity: 'error',
    from: { path: pathOf(room) },
    to: { path: rooms.slice(index + 1).map(pathOf) },
  }))

module.exports = {
  forbidden: [
    { name: 'no circle', severity: 'error', from: {}, to: { circular: true } },
    ...oneWay(SRC, srcRoom),
    ...oneWay(NODES, nodesRoom),
    {
      name: 'the check needs no store',
      severity: 'error',
      from: { path: '^src/check/' },
      to: { path: '^src/queue/' },
    },
    {
      name: 'src without nodes',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(nodes|plugins)/' },
    },
    {
      name: 'nodes/lib without nodes',
      severity: 'error',
      from: { path: '^nodes/lib/' },
      to: { path: '^(nodes/(?!lib/)|plugins)/' },
    },
    {
      name: 'the sandbox shares nothing with the client',
      severity: 'error',
      from: { path: '^src/sandbox/' },
      to: { path: '^(src/(?!sandbox/)|nodes|plugins)' },
    },
    {
      name: 'the editor knows what is shared, the tables of fields, and the grammar of the sandbox plans',
      severity: 'error',
      from: { path: '^editor/' },
      to: {
        path: '^(src/(?!shared/|sandbox/(faults|delivery-plan|plan-lines)\\.ts$)|nodes/(?!lib/fields/(?!lookup)|[^/]+/fields\\.ts$)|plugins)',
      },
    },
    {
      name: 'the editor is for the browser',
      severity: 'error',
      from: { path: '^(src|nodes|plugins)/' },
      to: { path: '^editor/' },
    },
    {
      name: 'shared runs in the browser, too',
      severity: 'error',
      from: { path: '^src/(shared/|sandbox/(faults|delivery-plan|plan-lines)\\.ts$)' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'only nodes/lib/connection starts the sandbox',
      severity: 'error',
      from: { path: '^(src/(?!sandbox/)|nodes/lib/(?!connection/))' },
      to: { path: '^src/sandbox/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
  },
}
