import { ComposedStore } from '../composed-store'
import { SteadyClock, type StoreClock } from '../store-clock'
import { Acceptance } from './acceptance'
import { LevelAdmin } from './admin'
import { Announcements } from './announcements'
import { inspectFiles, LevelBlobs } from './blobs'
import { LevelDatabase } from './database'
import { KEY, put } from './keys'
import { Leases } from './leases'
import { openFolder } from './open-folder'
import { LevelQueue } from './queue'
import { Retention } from './retention'

interface Parts {
  queue: LevelQueue
  admin: LevelAdmin
  blobs: LevelBlobs
  leases: Leases
}

/**
 * Store for a single process: LevelDB for the messages, and a folder for their files. Only one process can have it
 * open. Messages that an earlier process was sending when it ended can be claimed at once.
 */
export class LevelStore extends ComposedStore {
  private constructor(
    private readonly database: LevelDatabase,
    readonly clock: StoreClock,
    { queue, admin, blobs }: Parts,
  ) {
    super(queue, admin, blobs)
  }

  /**
   * Opens a store, or creates it.
   * @param known store identity from the mark, a file outside the store; undefined: no mark, so a store may be created
   * @param clock default: the clock of this process
   * @throws RedoxError
   */
  static async open(folder: string, known?: string, clock?: StoreClock): Promise<LevelStore> {
    const opened = await openFolder(folder, known)
    const time = clock ?? new SteadyClock(opened.lastReading)
    const database = new LevelDatabase(opened, time, (reader) => inspectFiles(reader, folder))
    const parts = partsOf(database, time)
    try {
      await database.begin(opened.isNew)
      await parts.leases.endAll()
      await database.reserve.hasRoomFor(0)
    } catch (error) {
      await database.release()
      throw error
    }
    return new LevelStore(database, time, parts)
  }

  get identity(): string {
    return this.database.identity
  }

  keyCheckValue(own: Buffer): Promise<Buffer> {
    return this.database.reliably(async () => {
      const known = await this.database.reader.get(KEY.mark)
      if (known === undefined) await this.database.write([put(KEY.mark, own)])
      return known ?? own
    })
  }

  close(): Promise<void> {
    return this.database.close()
  }
}

function partsOf(database: LevelDatabase, clock: StoreClock): Parts {
  const blobs = new LevelBlobs(database)
  const retention = new Retention(database, blobs, clock)
  const acceptance = new Acceptance(database, blobs, retention)
  const leases = new Leases(database, acceptance, clock)
  const announcements = new Announcements(database, clock)
  return {
    blobs,
    leases,
    queue: new LevelQueue(database, { acceptance, leases, announcements, retention }),
    admin: new LevelAdmin(database, clock, { acceptance, blobs, retention }),
  }
}
