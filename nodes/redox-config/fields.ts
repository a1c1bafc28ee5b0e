// The settings of a connection are defined in nodes/lib, below the nodes, together with the code that reads them.
export { settings as fields } from '../lib/fields/settings'
