import type { Condition } from './types'

export const NAME = { name: 'name', kind: 'text', icon: 'bookmark' } as const

/**
 * Returns the field for the connection of a send node.
 * @param fhir property `fhir`: the condition for a connection that suits the FHIR API
 */
const connection = <const F>(fhir: F) =>
  ({
    name: 'connection',
    kind: 'node',
    icon: 'plug',
    type: 'redox-config',
    required: true,
    part: 'banner',
    ...fhir,
  }) as const

/** Name and connection of a node that sends to the Data Model API. */
export const CONNECTION = [NAME, connection({})] as const

/** Name and connection of a node that sends to the FHIR API, which accepts no legacy key. */
export const FHIR_CONNECTION = [NAME, connection({ fhir: true })] as const

/** Name and connection of a node that sends to the FHIR API under a condition. */
export const connectionOf = <const W extends Condition>(fhir: W) => [NAME, connection({ fhir })] as const
