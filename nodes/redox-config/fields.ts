// The settings of a connection are defined in nodes/lib/fields, together with the code that reads them.
export { settings as fields } from '../lib/fields/settings'
