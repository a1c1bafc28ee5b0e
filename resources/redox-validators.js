// What the dialogs check while people fill them in, and the sentences of the red triangle. Loaded by every node's
// HTML, so that it is there whichever comes first; the runtime checks everything again, in its own words.
;(function () {
  'use strict'
  if (window.RedoxValidators) return

  const TEXTS = '@ehr-flows/node-red-redox/redox-config:redox'
  const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
  const VARIABLE = /^\$\{[^}]+\}$/
  const STORED = '__PWRD__'
  const REPORT_STATUS = ['registered', 'partial', 'preliminary', 'final', 'amended', 'corrected', 'appended']
  const OBSERVATION_STATUS = ['registered', 'preliminary', 'final', 'amended', 'corrected']
  const ENDED = ['cancelled', 'entered-in-error', 'unknown']

  const text = (key, values) => RED._(`${TEXTS}.${key}`, values)

  // ---- Values --------------------------------------------------------------------------------------------

  // The forms that are open, so that a field can look at its neighbours as they are now: a connection may be open above
  // the node that is to use it.
  let forms = []
  let open

  /** @param node whose form was opened  @param prefix `node-input` or `node-config-input` */
  function opened(node, prefix, form) {
    open = { node, prefix, form }
    forms = [...forms.filter(isShown), open]
  }

  const isShown = ({ form }) => document.contains(form[0])

  /** How to read a property of a node: from its open form, else as it is saved. */
  function reader(node) {
    const own = forms.filter((one) => one.node === node && isShown(one)).at(-1)
    return (name) => {
      const input = own ? own.form.find(`[id="${own.prefix}-${name}"]`) : $()
      const value = String((input.length > 0 ? input.val() : node[name]) ?? '')
      // How the editor's own list of config nodes says that none is chosen.
      return value === '_ADD_' ? '' : value
    }
  }

  /** Whether a condition such as `eventType=New,Replace;fileFrom=message` is true. */
  const holds = (condition, read) =>
    condition.split(';').every((part) => {
      const at = part.indexOf('=')
      return part
        .slice(at + 1)
        .split(',')
        .includes(read(part.slice(0, at)))
    })

  // ---- Rules: (value, read, name) => undefined, or the key of a sentence with its values -------------------

  const isBlank = (value) => value.trim() === ''
  const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
  const needed = (value) => (isBlank(value) ? ['needed'] : undefined)
  const matching = (pattern, key) => (value) =>
    isBlank(value) || pattern.test(value.trim()) ? undefined : [key]
  const isDay = (day) =>
    /^\d{4}-\d{2}-\d{2}$/.test(day) && new Date(Date.parse(day) || 0).toISOString().startsWith(day)
  const oneOf = (values) => (value) =>
    isBlank(value) || values.includes(value.trim()) ? undefined : ['oneOf', { values: values.join(', ') }]

  function slug(value) {
    const found = value.trim()
    if (found === '') return undefined
    if (UUID.test(found)) return ['slug']
    if (found === 'redox') return ['slugUpload']
    return /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(found) ? undefined : ['slugShape']
  }

  const destinationId = (value) =>
    value.split(/[\s,;]+/).every((id) => id === '' || UUID.test(id) || VARIABLE.test(id))
      ? undefined
      : ['destinationId']

  const amount = (value) => (isBlank(value) || Number(value) > 0 ? undefined : ['amount'])

  function url(value) {
    if (isBlank(value)) return undefined
    const parsed = URL.canParse(value.trim()) ? new URL(value.trim()) : undefined
    const isHere = parsed && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(parsed.hostname)
    return parsed && (parsed.protocol === 'https:' || (parsed.protocol === 'http:' && isHere))
      ? undefined
      : ['url']
  }

  const MB = { embedBySelfKb: 0.001, dataModelEmbedMb: 1, requestMb: 1, uploadMb: 1 }
  const NOT_ABOVE = { embedBySelfKb: ['dataModelEmbedMb', 'uploadMb'], dataModelEmbedMb: ['requestMb'] }

  /** An empty limit is the default that its field shows. */
  function limits(value, read, name) {
    const megabytes = (field) => Number(read(field) || text(`example.${field}`)) * MB[field]
    const isOver = (other) => megabytes(other) > 0 && megabytes(name) > megabytes(other)
    const above = NOT_ABOVE[name].find(isOver)
    if (above === undefined) return undefined
    return ['limits', { other: text(`label.${above}`), limit: megabytes(above) }]
  }

  /** A secret as far as it is known here: typed, stored, missing (''), or undefined before the form was opened. */
  function secretOf(node, read, name) {
    const typed = read(name)
    if (typed !== '' || open?.node === node) return typed
    if (node.credentials === undefined) return undefined
    return node.credentials[name] || (node.credentials[`has_${name}`] ? STORED : '')
  }

  // ---- Private keys: what src/auth/private-key.ts takes; a test holds both against the same keys -----------

  // What the server has advice for, by its beginning; bytes are looked at as one character each.
  const FOREIGN = [
    [/-----BEGIN ?OPENSSH PRIVATE ?KEY-----|^openssh-key-v1\0/, 'OpenSSH'],
    [/^PuTTY-User-Key-File-/, 'PuTTY'],
    [/-----BEGIN PGP /, 'PGP'],
    [/^0(\x80|[\x81-\x84][^]{1,4})?\x02\x01\x030/, 'PKCS#12'],
    [/-----BEGIN ?(PKCS7|CMS)-----/, 'PKCS#7'],
    [/^(\xFE\xED\xFE\xED|\xCE\xCE\xCE\xCE)/, 'Java key store'],
    [/<RSAKeyValue>/, 'XML (.NET)'],
  ]
  const SSH_PUBLIC = /^(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+) |-{4,5} ?BEGIN SSH2 PUBLIC KEY/
  // DER: PKCS#8, PKCS#1 and SEC1 begin with a version; a public key and a certificate with another sequence.
  const DER_PRIVATE = /^0(\x80|[\x81-\x84][^]{1,4}|[^])\x02\x01[\0\x01][\x02\x040]/
  const DER_PUBLIC = /^0(\x80|[\x81-\x84][^]{1,4}|[^])0/
  // Schemes of PKCS#5 and PKCS#12 in an EncryptedPrivateKeyInfo.
  const DER_ENCRYPTED = /^0[^]{0,30}\x2A\x86\x48\x86\xF7\x0D\x01(\x05|\x0C\x01)/

  const attempt = (read) => {
    try {
      return read()
    } catch {
      return undefined
    }
  }

  /** What base64 stands for, bytes as one character each; undefined for other texts. */
  function decoded(key) {
    const digits = key.replace(/^["']|["']$/g, '').replace(/\s+|\\+[nr]/g, '')
    if (digits.length < 100 || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(digits)) return undefined
    return attempt(() => atob(digits.replace(/-/g, '+').replace(/_/g, '/').replace(/=+$/, '')))
  }

  /** A key without base64 and without JSON's quotes around it. */
  function unwrapped(value) {
    const key = value.replace(/^(\uFEFF|\xEF\xBB\xBF)/, '').trim()
    if (key.includes('-----BEGIN') || /^["'\s\\]*[{[]/.test(key)) return key
    const content = decoded(key)
    if (content === undefined) return key
    return /^(\xEF\xBB\xBF)?[\t\r\n -~]+$/.test(content) ? unwrapped(content) : content
  }

  /** What a text in JSON says, whatever quotes are escaped in it. */
  function jsonOf(key) {
    const value = attempt(() => JSON.parse(key))
    if (typeof value === 'string') return jsonOf(value)
    return value ?? attempt(() => JSON.parse(key.replace(/\\+[nr]/g, ' ').replace(/\\+"/g, '"')))
  }

  /** The private JWK, in a set the one that the key ID names; several, or none, as they are. */
  function jwksOf(key, keyId) {
    const value = jsonOf(key)
    const keys = Array.isArray(value) ? value : value?.keys
    if (!Array.isArray(keys)) return [value]
    const secret = keys.filter((one) => one?.d !== undefined)
    const named = secret.filter(({ kid }) => kid === keyId)
    return named.length > 0 ? named : secret
  }

  /** The shape of a private key, as far as one sees it; `STORED` stands for one that the editor never sees. */
  function keyShape(value, keyId) {
    if (isBlank(value) || value === STORED || VARIABLE.test(value.trim())) return undefined
    const key = unwrapped(value)
    const foreign = FOREIGN.find(([pattern]) => pattern.test(key))
    if (foreign) return ['keyFormat', { format: foreign[1] }]
    if (SSH_PUBLIC.test(key)) return ['publicKey']
    if (key.includes('-----BEGIN')) return pemShape(key)
    if (/^["'\s\\]*[{[]/.test(key)) return jwkShape(jwksOf(key, keyId))
    return derShape(key)
  }

  function pemShape(key) {
    if (/ENCRYPTED/.test(key)) return ['encryptedKey']
    if (/-----BEGIN ?([A-Z ]*PRIVATE ?KEY)-----[^]*-----END ?\1-----/.test(key)) return undefined
    return /-----BEGIN ?([A-Z ]*PUBLIC ?KEY|[A-Z ]*CERTIFICATE[A-Z ]*)-----/.test(key)
      ? ['publicKey']
      : ['keyShape']
  }

  function jwkShape(keys) {
    if (keys.length > 1) return ['keySet']
    if (keys.length === 0) return ['publicKey']
    const [jwk] = keys
    if (jwk?.kty !== 'RSA' && jwk?.kty !== 'EC') return ['keyShape']
    return jwk.d === undefined ? ['publicKey'] : undefined
  }

  function derShape(key) {
    if (DER_PRIVATE.test(key)) return undefined
    if (DER_ENCRYPTED.test(key)) return ['encryptedKey']
    return DER_PUBLIC.test(key) ? ['publicKey'] : ['keyShape']
  }

  // The words of src/sandbox/faults.ts; a test holds both against the same plans.
  const PLACES = ['token', 'upload', 'blob', 'Binary', 'endpoint', 'fhir', 'any']
  const FAULTS = [
    ...['reset-before-body', 'reset-mid-body', 'reset-after-body', 'reset-after-accept', 'half-open'],
    ...['slow-reader', 'cut-short', 'truncated-json', 'not-json', 'gzip', 'errors-inside', 'partial'],
    ...['no-location', 'issues', 'no-subscription', 'redirect', 'none'],
  ]
  const FAULTS_WITH_VALUE = ['late=2', 'refuse=2', '503', '429-retry-after=2', '504-after-accept']
  const WITH_SECONDS = /^(late|refuse|[345]\d\d-retry-after)=(\d+(?:\.\d+)?)$/i
  const OTHER_FAULT = /^([345]\d\d(-after-accept)?|redirect=https?:\/\/[^/]+)$/i

  const knows = (list, word) => list.some((known) => known.toLowerCase() === word.toLowerCase())
  const isFault = (word, place) => {
    const seconds = WITH_SECONDS.exec(word)?.[2]
    if (seconds !== undefined) return Number(seconds) <= 86400
    if (/^(partial|issues)$/i.test(word)) return !/^(token|upload|blob|binary)$/i.test(place)
    if (/^no-subscription$/i.test(word)) return !/^(token|upload|blob|binary|fhir)$/i.test(place)
    return knows(FAULTS, word) || OTHER_FAULT.test(word)
  }
  const isCount = (words) => {
    const percent = /^(\d{1,3}(?:\.\d+)?)%$/.exec(words)?.[1]
    return percent === undefined ? /^(once|\d{1,9}x)?$/i.test(words) : Number(percent) <= 100
  }

  function faultRule(line, words) {
    const [place, fault = '', ...count] = words
    if (place.toLowerCase() === 'seed') {
      return /^seed \d{1,9}$/i.test(words.join(' ')) ? undefined : ['faultSeed', { line }]
    }
    if (!place.startsWith('/') && !knows(PLACES, place)) {
      return ['faultPlace', { line, word: place, values: PLACES.join(', ') }]
    }
    if (!isFault(fault, place)) {
      return ['faultKind', { line, word: fault, values: [...FAULTS_WITH_VALUE, ...FAULTS].join(', ') }]
    }
    return isCount(count.join('')) ? undefined : ['faultCount', { line, word: count.join(' ') }]
  }

  /** A fault plan of the sandbox; the line at fault is named. */
  function faultPlan(value) {
    if (VARIABLE.test(value.trim())) return undefined
    const lines = value.split(/\r\n|\r|\n/).flatMap((line, index) =>
      line
        .replace(/(^|\s)#.*/, '')
        .split(';')
        .map((rule) => [index + 1, rule.trim().split(/\s+/)])
        .filter(([, [first]]) => first !== ''),
    )
    const isSeed = ([, [first]]) => first.toLowerCase() === 'seed'
    const secondSeed = lines.filter(isSeed)[1]
    if (secondSeed) return ['faultSeed', { line: secondSeed[0] }]
    return lines.map(([line, words]) => faultRule(line, words)).find((fault) => fault !== undefined)
  }

  const rules = {
    needed,
    /** an ID that may be made from the file, unless the Data brings it */
    madeOfFile: (_value, read, name) => {
      if (read(`${name}Type`) !== 'content' || !isBlank(read('data'))) return undefined
      if (read('eventType') === 'Delete') return ['noFile']
      return read('fileFrom') === 'none' ? ['noFileSent'] : undefined
    },
    /** a field that the Data may bring, too */
    required: (value, read, name) => {
      const isThere = !isBlank(value) || !isBlank(read('data')) || read(`${name}Type`) === 'content'
      return isThere ? undefined : ['required']
    },
    slug,
    destinationId,
    uuid: matching(UUID, 'uuid'),
    date: (value) => (isBlank(value) || isDay(value.trim()) ? undefined : ['date']),
    dateTime: matching(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/, 'dateTime'),
    gender: oneOf(['female', 'male', 'other', 'unknown']),
    status: (value, read) =>
      oneOf([...(read('operation').startsWith('Obs') ? OBSERVATION_STATUS : REPORT_STATUS), ...ENDED])(value),
    documentStatus: oneOf(['current', 'superseded', 'entered-in-error']),
    noteContentType: oneOf(['Base64 Encoded', 'Plain Text', 'Rich Text']),
    /** the Data of a node: an object, with FHIR also a list of resources; only Data Model nodes have an event type */
    json: (value, read) => {
      const data = attempt(() => JSON.parse(value))
      const isList = Array.isArray(data) && data.every(isObject) && read('eventType') === ''
      return isBlank(value) || isObject(data) || isList ? undefined : ['json']
    },
    amount,
    url,
    limits,
    faultPlan,
    /** where a node reads files by their path: the connection has to allow a folder */
    allowedFolder: (value, read) => {
      const connection = value === 'path' ? RED.nodes.node(read('connection')) : undefined
      return connection && isBlank(connection.folders ?? '') ? ['noFolder'] : undefined
    },
  }

  // ---- Environment variables -----------------------------------------------------------------------------

  // A value of another type is known to the runtime only.
  const KNOWN_TYPES = [undefined, 'str', 'num', 'bool']

  // The sentences about an empty and about another value of a variable, by where it is defined.
  const OF_TAB = { empty: 'emptyTab', from: 'fromTab' }
  const OF_GROUP = { empty: 'emptyGroup', from: 'fromGroup' }
  const OF_SUBFLOW = { empty: 'emptySubflow', from: 'fromSubflow' }

  /** Where a node's variables are looked for, from the inside out, each with its sentences. */
  function scopesOf(node) {
    const group = node.g ? RED.nodes.group(node.g) : undefined
    const groups = group ? [[OF_GROUP, group], ...scopesOf({ g: group.g })] : []
    const tab = node.z ? RED.nodes.workspace(node.z) : undefined
    return tab ? [...groups, [OF_TAB, tab]] : groups
  }

  const entryOf = ({ env }, name) => (env ?? []).find((one) => one.name === name)

  /**
   * What the editor knows of a variable: one value for each place that the node runs in, as each instance of a subflow
   * is one. The server's own variables are not known here.
   */
  function variablesOf(node, name) {
    const found = scopesOf(node)
      .map(([sentences, scope]) => ({ sentences, entry: entryOf(scope, name) }))
      .find(({ entry }) => entry !== undefined)
    if (found) return knownValue(found.sentences, found.entry)
    const subflow = node.z ? RED.nodes.subflow(node.z) : undefined
    if (!subflow) return []
    const standard = entryOf(subflow, name)
    return RED.nodes.filterNodes({ type: `subflow:${subflow.id}` }).flatMap((instance) => {
      const entry = entryOf(instance, name) ?? standard
      return entry === undefined ? variablesOf(instance, name) : knownValue(OF_SUBFLOW, entry)
    })
  }

  /** Whether a tab, group or subflow has such a variable, of whatever type. */
  function declaresVariable(node, name) {
    if (scopesOf(node).some(([, scope]) => entryOf(scope, name))) return true
    const subflow = node.z ? RED.nodes.subflow(node.z) : undefined
    if (!subflow) return false
    const instances = RED.nodes.filterNodes({ type: `subflow:${subflow.id}` })
    return [subflow, ...instances].some((one) => entryOf(one, name) || declaresVariable(one, name))
  }

  const knownValue = (sentences, { type, value }) =>
    KNOWN_TYPES.includes(type) ? [{ sentences, value: String(value ?? '') }] : []

  /** The sentence about the first value that a rule does not hold for. */
  function variableFault(node, name, names, read) {
    const variable = read(name)
    const applied = names.filter((rule) => rule !== 'madeOfFile')
    for (const { sentences, value } of variablesOf(node, variable)) {
      const fault = applied.map((rule) => rules[rule](value, read, name)).find((one) => one !== undefined)
      if (fault === undefined) continue
      const isEmpty = fault[0] === 'needed' || fault[0] === 'required'
      const from = text(`invalid.${isEmpty ? sentences.empty : sentences.from}`, { name: variable })
      return isEmpty ? from : `${sentence(name, fault)} ${from}`
    }
    return true
  }

  // The other rules are for a text that was typed in, also as the type of their name: they mean nothing for a path
  // into the message.
  const FOR_ANY_TYPE = new Set(['needed', 'required', 'madeOfFile'])

  /**
   * A validator of Node-RED for one property.
   * @param names of rules, which the build looks for; the first that is broken speaks
   * @param when the property counts only then, see holds()
   */
  function valid(name, names = [], when) {
    return function (value, _options) {
      const read = reader(this)
      if (when !== undefined && !holds(when, read)) return true
      const type = read(`${name}Type`)
      if (type === 'env' && !isBlank(String(value ?? ''))) return variableFault(this, name, names, read)
      const typeFault = isBlank(String(value ?? '')) ? undefined : typed(value, type)
      const applied = names.filter((rule) => FOR_ANY_TYPE.has(rule) || ['', 'str', rule].includes(type))
      const faults = applied.map((rule) => rules[rule](String(value ?? ''), read, name))
      return sentence(name, typeFault ?? faults.find((fault) => fault !== undefined))
    }
  }

  function typed(value, type) {
    if (!['msg', 'flow', 'global', 'json', 'jsonata'].includes(type)) return undefined
    const result = RED.utils.validateTypedProperty(value, type, {})
    return result === true ? undefined : ['expression', { reason: result || type }]
  }

  const sentence = (name, fault) =>
    fault === undefined || text(`invalid.${fault[0]}`, { label: text(`label.${name}`), ...fault[1] })

  // What a variable says is known to the runtime only.
  const mayBeSandbox = (read) =>
    read('environmentType') === 'env' ||
    VARIABLE.test(read('environment')) ||
    ['', 'Sandbox'].includes(read('environment'))

  // The built-in sandbox has keys of its own.
  const asksFor = (auth, read) =>
    (read('auth') === 'legacy' ? 'legacy' : 'oauth') === auth && !mayBeSandbox(read)

  const SECRETS = { oauth: ['privateKey'], legacy: ['apiKey', 'secret'] }

  function secretFault(node, read, name) {
    const secret = secretOf(node, read, name)?.trim()
    if (secret === '') return name === 'privateKey' && !isBlank(read('keyId')) ? ['keyWithoutId'] : ['needed']
    return name === 'privateKey' && secret !== undefined ? keyShape(secret, read('keyId').trim()) : undefined
  }

  function keyIdFault(node, read) {
    const key = secretOf(node, read, 'privateKey') ?? ''
    const jwks = jwksOf(unwrapped(key), undefined)
    const namesItself = jwks.length === 1 && typeof jwks[0]?.kid === 'string'
    return key !== '' && !namesItself && isBlank(read('keyId')) ? ['idWithoutKey'] : undefined
  }

  /** A validator for the Client ID or the Key ID. */
  function validId(name) {
    return function (value, _options) {
      const read = reader(this)
      if (!asksFor('oauth', read)) return true
      return sentence(name, name === 'keyId' ? keyIdFault(this, read) : needed(String(value ?? '')))
    }
  }

  // When a secret is asked for; the rest of what it may be is known to the runtime only.
  const STORE_SECRETS = { storeKey: 'delivery=durable', storeUrl: 'delivery=durable;store=postgresql' }

  // The runtime knows them too (nodes/lib/connection/connection.ts); a test holds both against the examples.
  const PUBLISHED_KEYS = new Set(['known to everybody, for the sandbox only'])

  function storeFault(node, read, name) {
    const secret = secretOf(node, read, name)?.trim()
    if (secret === '') return ['needed']
    if (secret === undefined || secret === STORED || VARIABLE.test(secret)) return undefined
    if (PUBLISHED_KEYS.has(secret) && !mayBeSandbox(read)) return ['publishedKey']
    const isRight = name === 'storeKey' ? secret.length >= 16 : isDatabase(secret)
    return isRight ? undefined : [name]
  }

  const isDatabase = (url) => /^postgres(ql)?:\/\//.test(url) && URL.canParse(url)

  /** A validator for a credential: it marks the field while the form is open. */
  function validSecret(name) {
    return function (_value, _options) {
      const read = reader(this)
      const when = STORE_SECRETS[name]
      if (when !== undefined) return !holds(when, read) || sentence(name, storeFault(this, read, name))
      const auth = SECRETS.legacy.includes(name) ? 'legacy' : 'oauth'
      return !asksFor(auth, read) || sentence(name, secretFault(this, read, name))
    }
  }

  // For the triangle: the editor validates credentials only in the form.
  const together = (names) =>
    function (_value, _options) {
      const found = names.map((name) => validSecret(name).call(this)).filter((result) => result !== true)
      return found.length === 0 || found
    }
  const validSecrets = together(Object.values(SECRETS).flat())
  const validStore = together(Object.keys(STORE_SECRETS))

  /**
   * A validator for the connection. The editor leaves all to it except for an empty text: whether the config node
   * exists, and is right itself.
   * @param fault what else may be wrong with a config node; called with the node as `this`
   */
  function connectionRule(fault) {
    return function (value, _options) {
      const told = (key) => RED._(key, { prop: text('label.connection') })
      // An empty text the editor has told of already.
      if (value === '') return true
      if (!value || value === '_ADD_') return told('validator.errors.missing-required-prop')
      const config = RED.nodes.node(value)
      if (!config) return told('validator.errors.missing-config')
      const own = fault.call(this, config)
      if (own !== undefined) return sentence('connection', own)
      return config.valid === false ? told('validator.errors.invalid-config') : true
    }
  }

  const validConnection = connectionRule(() => undefined)

  /**
   * A validator for the connection of a node that sends to the FHIR API, which takes no legacy key.
   * @param when the node sends there only then, see holds()
   */
  const validFhirConnection = (when) =>
    connectionRule(function ({ auth }) {
      const isFhir = when === undefined || holds(when, reader(this))
      return isFhir && auth === 'legacy' ? ['legacyKey'] : undefined
    })

  window.RedoxValidators = {
    ...{ text, opened, holds, reader, variablesOf, declaresVariable, STORED, RULES: Object.keys(rules) },
    ...{ valid, validId, validSecret, validSecrets, validStore, validConnection, validFhirConnection },
  }
})()
