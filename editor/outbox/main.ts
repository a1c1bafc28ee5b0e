/** Sidebar tab for messages that wait, were delivered or need a decision. Built into resources/redox-outbox.js. */
import { tab } from './tab'
import { OutboxView } from './view'

tab.register('paper-plane-o', () => new OutboxView().content)
