import { z } from 'zod'
import { EMPTY } from './problems'

// Not zod's `min(1)`: it compares the `length` of any value, also of one of a wrong type, and throws a TypeError for
// `{ length: { toString: '' } }`.

export const nonEmptyText = z.string().refine((text) => text !== '', { params: EMPTY })

export const nonEmptyList = <Item extends z.ZodType>(item: Item) =>
  z.array(item).refine((list) => list.length > 0, { params: EMPTY })
