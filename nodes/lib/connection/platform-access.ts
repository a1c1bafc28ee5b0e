import { RedoxError } from '../../../src/errors'
import type { PlatformClient, PlatformSettings } from '../../../src/platform/client'
import type { LogWatch } from '../../../src/platform/log-watch'
import type { RequestLog } from '../../../src/transport/rate-limiter'

/** Access of a connection to the Platform API, whose client is made when it is first needed. */
export class PlatformAccess {
  #client: Promise<PlatformClient> | undefined
  #watch: Promise<LogWatch> | undefined

  /**
   * @param settings undefined if the connection has no user-level key
   * @param requests requests that count, shared with the previous clients of the connection
   */
  constructor(
    readonly settings: PlatformSettings | undefined,
    private readonly requests: RequestLog,
  ) {}

  /**
   * Returns the client.
   * @throws RedoxError REDOX_CONFIGURATION if the connection has no user-level key
   */
  async client(): Promise<PlatformClient> {
    const { settings } = this
    if (settings === undefined) throw missingKey()
    this.#client ??= import('../../../src/platform/client.js').then(
      ({ PlatformClient: Client }) => new Client(settings, this.requests),
    )
    return this.#client
  }

  /**
   * Returns what asks for the logs of all messages that the nodes of the connection follow.
   * @throws RedoxError as {@link client}
   */
  async watch(): Promise<LogWatch> {
    const client = await this.client()
    this.#watch ??= import('../../../src/platform/log-watch.js').then(
      ({ LogWatch: Watch }) => new Watch(client),
    )
    return this.#watch
  }

  async close(): Promise<void> {
    await (await this.#client)?.close()
  }
}

const missingKey = (): RedoxError =>
  new RedoxError(
    'REDOX_CONFIGURATION',
    'User-level key is missing. Enter it in the connection (section "Platform API").',
    { field: 'platformClientId' },
  )
