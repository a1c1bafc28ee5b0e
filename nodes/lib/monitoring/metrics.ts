import { activities, type Activity } from '../../../src/redox/activity'
import { directConnections } from '../../../src/redox/direct-messages'
import { durableConnections } from '../connection/durable-connection'
import { openMetricsText, type Family, type Sample } from './open-metrics'
import { outboxFigures, type OutboxFigures } from './outbox-figures'

/**
 * Returns the metrics of all connections as OpenMetrics text. Labels are ids and names of redox-config nodes, and words
 * from closed lists: no patient data.
 */
export async function metricsText(): Promise<string> {
  const outboxes = await Promise.all(
    [...durableConnections].map(async ([connection, durable]): Promise<OutboxOf> => ({
      connection,
      name: durable.name,
      figures: await outboxFigures(durable),
    })),
  )
  return openMetricsText([
    connectionFamily(outboxes),
    ...activityFamilies([...activities.values()]),
    ...outboxFamilies(outboxes),
    directFamily(),
  ])
}

interface OutboxOf {
  connection: string
  name: string
  figures: OutboxFigures
}

function connectionFamily(outboxes: OutboxOf[]): Family {
  const names = new Map<string, string>()
  for (const { connection, name } of [...activities.values(), ...outboxes]) names.set(connection, name)
  return {
    name: 'redox_connection_info',
    type: 'gauge',
    help: 'Name of the redox-config node with this id.',
    samples: [...names].map(([connection, name]) => ({ labels: { connection, name }, value: 1 })),
  }
}

function activityFamilies(known: Activity[]): Family[] {
  const each = (samplesOf: (activity: Activity) => Sample[]): Sample[] =>
    known.flatMap((activity) => {
      const { connection } = activity
      return samplesOf(activity).map(({ labels, value }) => ({ labels: { connection, ...labels }, value }))
    })
  return [...messageFamilies(each), ...requestFamilies(each), ...tokenFamilies(each)]
}

type EachActivity = (samplesOf: (activity: Activity) => Sample[]) => Sample[]

const messageFamilies = (each: EachActivity): Family[] => [
  {
    name: 'redox_messages',
    type: 'counter',
    help: 'Messages and uploads that ended, by outcome. A parked message has ended; a further end follows if it is sent again.',
    samples: each(({ messages }) =>
      messages.all().map(({ labels, count }) => ({ labels: { ...labels }, value: count })),
    ),
  },
  {
    name: 'redox_message_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from the arrival or the acceptance of a message to its end.',
    samples: each(({ messageSeconds }) => byLabel('delivery', messageSeconds)),
  },
  {
    name: 'redox_message_size_bytes',
    type: 'histogram',
    unit: 'bytes',
    help: 'Size of all files of a message.',
    samples: each(({ messageBytes }) => byLabel('delivery', messageBytes)),
  },
  {
    name: 'redox_retries',
    type: 'counter',
    help: 'Further attempts that were planned, by the code of the failure before them.',
    samples: each(({ retries }) =>
      retries.all().map(({ labels, count }) => ({ labels: { ...labels }, value: count })),
    ),
  },
  {
    name: 'redox_last_success_timestamp_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'Time of the last delivered message, in seconds since 1970.',
    samples: each(({ lastSuccess }) =>
      lastSuccess === undefined ? [] : [{ labels: {}, value: lastSuccess / 1000 }],
    ),
  },
]

const requestFamilies = (each: EachActivity): Family[] => [
  {
    name: 'redox_requests',
    type: 'counter',
    help: 'HTTP requests, by kind and outcome.',
    samples: each(({ requests }) =>
      requests.all().map(({ labels, count }) => ({ labels: { ...labels }, value: count })),
    ),
  },
  {
    name: 'redox_request_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Duration of HTTP requests, by kind.',
    samples: each(({ requestSeconds }) => byLabel('kind', requestSeconds)),
  },
  {
    name: 'redox_request_bytes',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes in the bodies of all HTTP requests.',
    samples: each(({ sentBytes }) => [{ labels: {}, value: sentBytes }]),
  },
]

const tokenFamilies = (each: EachActivity): Family[] => [
  {
    name: 'redox_token_failures',
    type: 'counter',
    help: 'Access tokens that could not be obtained.',
    samples: each(({ tokenFailures }) => [{ labels: {}, value: tokenFailures }]),
  },
  {
    name: 'redox_token_up',
    type: 'gauge',
    help: '1 if the last access token was obtained, 0 if it was not.',
    samples: each(({ token: { state } }) =>
      state === 'none' ? [] : [{ labels: {}, value: state === 'ok' ? 1 : 0 }],
    ),
  },
]

const byLabel = (label: string, values: Record<string, Sample['value']>): Sample[] =>
  Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }))

function outboxFamilies(outboxes: OutboxOf[]): Family[] {
  const gauge = (
    name: string,
    help: string,
    valueOf: (figures: OutboxFigures) => number | undefined,
  ): Family => ({
    ...{ name, help, type: 'gauge' },
    samples: outboxes.flatMap(({ connection, figures }) => {
      const value = valueOf(figures)
      return value === undefined ? [] : [{ labels: { connection }, value }]
    }),
  })
  return [
    {
      name: 'redox_outbox_messages',
      type: 'gauge',
      help: 'Messages in the store, by state.',
      samples: outboxes.flatMap(({ connection, figures: { counts = {} } }) =>
        byLabel('state', counts).map(({ labels, value }) => ({ labels: { connection, ...labels }, value })),
      ),
    },
    gauge(
      'redox_outbox_refused_later_messages',
      'Delivered messages that a destination refused after Redox had accepted them.',
      (figures) => figures.refusedLater,
    ),
    {
      ...gauge(
        'redox_outbox_oldest_age_seconds',
        'Age of the oldest open message; 0 if none is open.',
        (figures) => figures.oldestSeconds,
      ),
      unit: 'seconds',
    },
    gauge(
      'redox_outbox_stopped_destinations',
      'Destinations that are paused or blocked by a parked message.',
      (figures) => figures.stopped,
    ),
    gauge(
      'redox_outbox_store_up',
      '1 if the store accepts messages, otherwise 0.',
      ({ isAccepting, isFull }) => Number(isAccepting && isFull !== true),
    ),
    {
      ...gauge(
        'redox_outbox_store_bytes',
        'Size of the store: its folder, or all tables in the schema of the database.',
        (figures) => figures.storeBytes,
      ),
      unit: 'bytes',
    },
  ]
}

const directFamily = (): Family => ({
  name: 'redox_direct_messages',
  type: 'gauge',
  help: 'Direct messages in progress, and those of the last hour whose outcome is unknown.',
  samples: [...directConnections].flatMap(([connection, messages]) =>
    byLabel('state', messages.counts()).map(({ labels, value }) => ({
      labels: { connection, ...labels },
      value,
    })),
  ),
})
