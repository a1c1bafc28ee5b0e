/** The sidebar tab of the messages that wait, were delivered or need a decision; built into resources/redox-outbox.js. */
import { tab } from './tab'
import { OutboxView } from './view'

tab.register('paper-plane-o', () => new OutboxView().content)
