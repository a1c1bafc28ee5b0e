import { z } from 'zod'
import { EMPTY } from './problems'

// zod's `min(1)` is not used: it compares the `length` of any value, even of a value of the wrong type, and throws a
// TypeError for `{ length: { toString: '' } }`.

export const nonEmptyText = z.string().refine((text) => text !== '', { params: EMPTY })

export const nonEmptyList = <Item extends z.ZodType>(item: Item) =>
  z.array(item).refine((list) => list.length > 0, { params: EMPTY })
