import type { DeliveryStore } from './store'
export class PostgresStore {
  static open(_place: { url: string; queue: string }): Promise<DeliveryStore> {
    return Promise.reject(new Error('to come'))
  }
}
