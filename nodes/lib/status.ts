import type { Node, NodeAPI, NodeStatus } from 'node-red'

const CATALOGUE = '@ehr-flows/node-red-redox/redox-config:redox.status.'

/** The status line of a send node: how many are under way, how the last one ended, and where it went. */
export class Status {
  #underWay = 0
  #closed = false

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
  ) {}

  /** @param environment `sandbox` stands in front, so that nobody takes it for a delivery */
  sending(environment: string): void {
    this.#underWay++
    this.#show({ fill: 'blue', shape: 'dot' }, environment, this.#sendingText())
  }

  /** @param id short id to look the message up by */
  sent(environment: string, statusCode: number, id: string | undefined): void {
    this.#underWay--
    const text = [String(statusCode), id?.slice(0, 8)].filter(Boolean).join(' ')
    this.#show({ fill: 'green', shape: 'dot' }, environment, text)
  }

  /** A message that failed after {@link sending}. */
  failed(environment: string, code: string): void {
    this.#underWay--
    this.refused(environment, code)
  }

  /** A message that never got as far as being sent. */
  refused(environment: string, code: string): void {
    this.#show({ fill: 'red', shape: 'ring' }, environment, code)
  }

  close(): void {
    this.#closed = true
    this.node.status({})
  }

  #sendingText(): string {
    const sending = this.RED._(`${CATALOGUE}sending`)
    return this.#underWay > 1 ? `${sending} ${this.#underWay}` : sending
  }

  #show(look: NodeStatus, environment: string, text: string): void {
    if (this.#closed) return
    const prefix = environment === 'sandbox' ? `${this.RED._(`${CATALOGUE}sandbox`)} ` : ''
    this.node.status({ ...look, text: prefix + text })
  }
}
