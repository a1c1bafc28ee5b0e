// What a connection reads stands below the nodes, with what reads it.
export { settings as fields } from '../lib/fields/settings'
