// What the dialogs of all redox nodes share. Loaded by every node's HTML; plain script, no build.
;(function () {
  'use strict'
  if (window.RedoxEditor) return

  // Named when they are needed: the editor loads scripts in no fixed order, but all before the first dialog.
  const validators = () => window.RedoxValidators
  const text = (key, values) => validators().text(key, values)
  const reader = (node) => validators().reader(node)
  // Long enough for a word to be typed.
  const PREVIEW_AFTER_MS = 500
  const ENVIRONMENTS = ['Sandbox', 'Development', 'Staging', 'Production']

  // Value sets of facts section 5 and of FHIR: offered, never forced.
  const AVAILABILITY = ['Available', 'Unavailable', 'Obsolete', 'Deleted', 'Cancelled']
  const FILE_TYPES = ['PDF', 'JPG', 'PNG', 'TIFF', 'GIF', 'TEXT', 'RTF', 'XML', 'DOCX', 'DCM']
  const STATUS = ['final', 'preliminary', 'amended', 'corrected', 'cancelled', 'entered-in-error']
  const SUGGESTIONS = {
    typeOfPatientId: ['MR', 'MRN', 'EHRID', 'NIST', 'EPI'],
    typeOfProviderId: ['NPI'],
    sex: ['Female', 'Male', 'Nonbinary', 'Other', 'Unknown'],
    gender: ['female', 'male', 'other', 'unknown'],
    documentType: ['Consent Form', 'Treatment Plan', 'Progress Note', 'Discharge Summary', 'Lab Report'],
    availability: AVAILABILITY,
    redoxFileType: FILE_TYPES,
    contentType: [
      'application/pdf',
      'image/jpeg',
      'image/png',
      'image/tiff',
      'text/plain',
      'application/rtf',
    ],
    noteContentType: ['Base64 Encoded', 'Plain Text', 'Rich Text'],
    orderStatus: ['Resulted', 'New', 'Update', 'Cancel'],
    resultsStatus: ['Final', 'Preliminary', 'In Process', 'Corrected', 'Canceled', 'Unavailable'],
    resultStatus: ['Final', 'Preliminary', 'Corrected', 'Incomplete'],
    resultCodeset: ['LOINC', 'SNOMED', 'CPT', 'HCPCS'],
    codeSystem: ['http://loinc.org', 'http://snomed.info/sct'],
    'redox-fhir-result.resourceStatus': STATUS,
    'redox-fhir-document.resourceStatus': ['current', 'superseded', 'entered-in-error'],
    category: ['LAB', 'RAD', 'CG', 'PAT', 'vital-signs', 'laboratory', 'imaging'],
    'redox-fhir-result.place': ['presentedForm[]', 'Media[0].content'],
    'redox-fhir-document.place': ['content[].attachment'],
  }

  // ---- Rows ----------------------------------------------------------------------------------------------

  function showRows(form, read) {
    form.find('[data-when]').each(function () {
      $(this).toggle(validators().holds($(this).attr('data-when'), read))
    })
  }

  /** The typed input puts controls of its own beside ours: label, hint and suggestions belong to those. */
  function makeTypedInputs(form, type) {
    form.find('input[data-types]').each(function () {
      const own = $(this)
      const types = own.attr('data-types').split(',').map(inputType)
      const [first] = types
      // A property that an earlier release did not save is a text to the runtime.
      const standard = types.includes('str') ? 'str' : (first.value ?? first)
      own.typedInput({ types, default: standard, typeField: `#${this.id}Type` })
      const controls = own.siblings('.red-ui-typedInput-container')
      const inner = controls.find('.red-ui-typedInput-input')
      const choice = controls.find('.red-ui-typedInput-option-trigger')
      const described = own.attr('aria-describedby') ?? null
      inner.attr({
        id: `${this.id}-typed`,
        placeholder: own.attr('placeholder') ?? null,
        'aria-describedby': described,
      })
      choice.attr({ id: `${this.id}-choice`, 'aria-describedby': described })
      const typeMenu = controls.find('.red-ui-typedInput-type-select')
      typeMenu.attr({ id: `${this.id}-type`, 'aria-describedby': described })
      const label = form.find(`label[for="${this.id}"]`)
      const list = suggestionList(form, this.id, type)
      const follow = () => {
        const chosen = own.typedInput('type')
        label.attr('for', `${this.id}-${CONTROLS[chosen] ?? 'typed'}`)
        inner.attr('list', chosen === 'str' ? (list ?? null) : null)
      }
      own.on('change', follow)
      follow()
    })
  }

  /** For a config node the editor puts a list of its own in place of our input, without the hint. */
  function describeNodeLists(form) {
    form.find('.form-row:has(> .redox-hint) select:not([aria-describedby])').each(function () {
      $(this).attr('aria-describedby', `${this.id}-hint`)
    })
  }

  // Types of a typed input that only these nodes have.
  const OWN_TYPES = {
    environment: () => ({
      value: 'environment',
      label: text('label.environment'),
      showLabel: false,
      options: ENVIRONMENTS.map((value) => ({ value, label: text(`option.environment.${value}`) })),
    }),
    content: () => ({
      value: 'content',
      label: text('option.documentId.content'),
      icon: 'fa fa-magic',
      hasValue: false,
    }),
  }
  /** What is shown of a typed input of such a type: a list of values, or its type alone. */
  const CONTROLS = { environment: 'choice', content: 'type' }
  const inputType = (type) => OWN_TYPES[type]?.() ?? type

  function suggestionList(form, inputId, type) {
    const name = nameOf({ id: inputId })
    const values = SUGGESTIONS[`${type}.${name}`] ?? SUGGESTIONS[name]
    if (values === undefined) return undefined
    const id = `${inputId}-values`
    const options = values.map((value) => $('<option>').attr('value', value))
    $('<datalist>').attr('id', id).append(options).appendTo(form)
    return id
  }

  // A section that holds something is opened, so that nothing set is out of sight.
  function openFilledSections(form, node, definition) {
    form.find('details:not([open])').each(function () {
      const filled = $(this)
        .find('input[id], select[id], textarea[id]')
        .toArray()
        .some((input) => {
          const name = nameOf(input)
          const standard = definition.defaults[name]
          return standard && node[name] !== undefined && String(node[name]) !== String(standard.value)
        })
      if (filled) this.open = true
    })
  }

  // What a field may hold depends on others: all marks follow each change.
  function checkTogether(form, node) {
    const properties = Object.entries({ ...node._def.defaults, ...node._def.credentials })
    const inputOf = ([name]) => form.find(`[id$="-input-${name}"]`)
    const ruled = properties.filter(([, { validate }]) => validate).map(inputOf)
    // The type of a typed input is a property of its own, in the same row.
    const all = properties.map(inputOf).filter((input) => input.is('[data-types], :not([type=hidden])'))
    let isPlanned = false
    const check = () => {
      ruled.forEach((input) => input.triggerHandler('change'))
      all.forEach((input) => tellFault(node, input))
      isPlanned = false
    }
    const plan = () => {
      if (!isPlanned) afterPress(check)
      isPlanned = true
    }
    form.on('change', plan)
    plan()
  }

  // A line that appears while a mouse button is down would move what is about to be clicked.
  let isPressed = false
  document.addEventListener('pointerdown', () => (isPressed = true), true)
  for (const end of ['pointerup', 'pointercancel'])
    document.addEventListener(end, () => (isPressed = false), true)

  function afterPress(action) {
    if (isPressed)
      document.addEventListener('pointerup', () => setTimeout(action), { once: true, capture: true })
    else setTimeout(action)
  }

  // What is wrong with a secret stands beneath its own field.
  const OF_SECRETS = ['auth', 'delivery']

  /** The sentence of the red triangle, beneath the field that it is about: no field is red without a reason. */
  function tellFault(node, input) {
    const row = input.closest('.form-row')
    const name = nameOf(input[0])
    const [fault] = OF_SECRETS.includes(name) ? [] : faultsOf(node, name)
    tell(row, 'redox-fault', 'redox-bad', fault)
    tell(row, 'redox-advice', '', fault === undefined ? adviceOn(node, name) : undefined)
  }

  function tell(row, className, looks, sentence) {
    const told = row.find(`.${className}`)
    if (told.text() === (sentence ?? '')) return
    told.remove()
    if (sentence !== undefined) row.append(line(`${className} ${looks}`, sentence))
  }

  const isFhir = ({ type }) => type.startsWith('redox-fhir-')

  /** What a message may lack, but should not: a property that is empty while another is not, or the Data brings it. */
  function adviceOn(node, name) {
    const read = reader(node)
    const isEmpty = (property) => read(property).trim() === ''
    if (!isFhir(node) || !isEmpty('data') || !isEmpty(name)) return undefined
    if (name === 'patientIdSystem' && !isEmpty('patientId')) return text('advice.patientIdSystem')
    return name === 'code' && node.type === 'redox-fhir-document' ? text('advice.code') : undefined
  }

  /** What is wrong with one property of a form, in sentences. */
  function faultsOf(node, name) {
    const { required, validate } = { ...node._def.defaults, ...node._def.credentials }[name]
    const value = reader(node)(name)
    if (required && value === '') return [text('invalid.needed', { label: text(`label.${name}`) })]
    const result = validate ? validate.call(node, value, {}) : true
    return [result].flat().filter((one) => typeof one === 'string')
  }

  const nameOf = ({ id }) => id.replace(/^node-(config-)?input-/, '')

  function prepare(node, prefix) {
    const form = $(`#${prefix}-name`).closest('form').addClass('redox-form')
    validators().opened(node, prefix, form)
    makeTypedInputs(form, node.type)
    describeNodeLists(form)
    const read = reader(node)
    chooseDefaults(form, node._def)
    form.find('select').on('change', () => showRows(form, read))
    showRows(form, read)
    checkTogether(form, node)
    openFilledSections(form, node, node._def)
    return form
  }

  /** A node that an earlier release saved has no value for a newer list. */
  function chooseDefaults(form, { defaults }) {
    form.find('select').each(function () {
      const standard = defaults[nameOf(this)]
      if (this.selectedIndex < 0 && standard) $(this).val(standard.value)
    })
  }

  /** What the form holds now, by property. */
  function formValues(node) {
    const read = reader(node)
    return Object.fromEntries(Object.keys(node._def.defaults).map((name) => [name, read(name)]))
  }

  // ---- Environment ---------------------------------------------------------------------------------------

  /** Says where messages go; Production looks like nothing else. */
  function showEnvironment(form, environment, type) {
    const key = type === 'env' ? 'env' : ENVIRONMENTS.includes(environment) ? environment : 'none'
    form
      .find('.redox-banner')
      .attr('data-environment', key)
      .text(text(`banner.${key}`, { name: environment }))
  }

  // ---- Asking the runtime ----------------------------------------------------------------------------------

  function ask(path, body) {
    return new Promise((resolve, reject) => {
      $.ajax({ url: path, method: 'POST', contentType: 'application/json', data: JSON.stringify(body) }).then(
        resolve,
        (failed) => reject(failureText(failed)),
      )
    })
  }

  /** Of a 403 Node-RED's answer itself says what has to be changed before it does what was asked. */
  function failureText({ status, responseJSON }) {
    if (status === 403 && responseJSON?.message) return responseJSON.message
    return text(status === 401 || status === 403 ? 'test.forbidden' : 'test.failed')
  }

  // ---- Send nodes ----------------------------------------------------------------------------------------

  /** For a node that is new: of several connections none is chosen, so that no message takes the wrong one. */
  function takeOnlyConnection(node) {
    // The editor also calls onadd for what is pasted or imported. Such a node is there already, and stays as it is.
    if (node.connection || RED.nodes.node(node.id)) return
    const usable = []
    RED.nodes.eachConfig((config) => {
      const isInReach = !config.z || config.z === node.z
      if (config.type === 'redox-config' && !config.d && isInReach) usable.push(config.id)
      return true
    })
    if (usable.length === 1) node.connection = usable[0]
  }

  function prepareSender(node) {
    const form = prepare(node, 'node-input')
    // The editor has put a list of its own in the place of the input.
    const connection = () => RED.nodes.node(form.find('#node-input-connection').val())
    const tell = () => {
      const { environment, environmentType } = connection() ?? {}
      showEnvironment(form, environment, environmentType)
      const isSandbox = environmentType !== 'env' && environment === 'Sandbox'
      const hint = form.find('#node-input-destination-hint')
      hint.find('.redox-of-sandbox').remove()
      const any = `. ${isFhir(node) ? text('hint.anySlug') : text('hint.anyUuid')}`
      if (isSandbox) $('<span>').addClass('redox-of-sandbox').text(any).appendTo(hint)
    }
    form.on('change', '#node-input-connection', tell)
    tell()
    hintOfFile(form)
    preparePreview(form, node, connection)
  }

  /** What the File field takes depends on where the file is read from. */
  function hintOfFile(form) {
    const from = form.find('#node-input-fileFrom')
    const tell = () =>
      form
        .find('#node-input-file-hint')
        .text(from.val() === 'path' ? text('hint.filePath') : text('hint.file'))
    from.on('change', tell)
    tell()
  }

  function preparePreview(form, node, connection) {
    const section = form.find('.redox-preview')
    const result = section.find('.redox-preview-result')
    let shown = 0
    async function show() {
      // An answer that comes late would replace what the form asked for since.
      const mine = ++shown
      const tell = (...parts) => mine === shown && result.empty().append(...parts)
      const config = connection()
      if (!config) return tell(line('', text('preview.empty')))
      tell(line('', text('preview.working')))
      const saved = Object.keys(config._def.defaults).map((name) => [name, config[name]])
      try {
        const preview = await ask('redox/preview', {
          id: node.id,
          type: node.type,
          config: formValues(node),
          connectionId: config.id,
          connection: Object.fromEntries(saved),
          variables: knownVariables(node),
        })
        tell(previewParts(node, preview))
      } catch (failure) {
        tell(line('redox-bad', failure))
      }
    }
    let planned
    const showSoon = () => {
      clearTimeout(planned)
      planned = setTimeout(() => section[0].isConnected && section[0].open && show(), PREVIEW_AFTER_MS)
    }
    section.on('toggle', () => {
      if (!section[0].open) return
      // It is the last section: what it shows would be below the visible part.
      section[0].scrollIntoView({ block: 'start' })
      show()
    })
    form.on('change', showSoon)
    section.find('.redox-preview-refresh').on('click', show)
  }

  /** The variables that fields name, as far as the editor knows them: what was not deployed yet, the runtime cannot know. */
  function knownVariables(node) {
    const values = formValues(node)
    const names = Object.keys(values).filter((name) => values[`${name}Type`] === 'env')
    return Object.fromEntries(
      names.flatMap((name) => {
        const [known] = validators().variablesOf(node, values[name])
        if (known) return [[values[name], known.value]]
        return validators().declaresVariable(node, values[name]) ? [[values[name], null]] : []
      }),
    )
  }

  const line = (className, content) => $('<div>').addClass(className).text(content)

  /** Everything once, in the words of the form. What is wrong with a field is usually what is wrong with the message. */
  function problemsOf(node, { problems, error }) {
    const inForm = new Map(
      Object.keys(node._def.defaults)
        .map((name) => [name, faultsOf(node, name)])
        .filter(([, faults]) => faults.length > 0),
    )
    const others = problems.filter(({ field }) => !inForm.has(field)).map(problemText)
    if (error && inForm.size === 0) others.push(error.message)
    return [...new Set([...[...inForm.values()].flat(), ...others])]
  }

  // What there is no sentence for is told as the runtime tells it.
  function problemText({ path, problem, fix, kind, values, field, name }) {
    const label = field === undefined ? path : text(`label.${field}`)
    const place = field === undefined ? '' : ` (${path})`
    if (kind === undefined) return `${label} ${problem}${place}. ${fix}`
    const key = SENTENCES[kind] ?? (field === undefined ? undefined : OF_FIELDS[kind])
    return key === undefined
      ? text(`preview.problem.${kind}`, { path: label, values })
      : text(`invalid.${key}`, { label, values, name })
  }

  const SENTENCES = { date: 'date', dateTime: 'dateTime', variable: 'fromVariable' }
  const OF_FIELDS = { missing: 'required', empty: 'required', values: 'oneOf' }

  function previewParts(node, preview) {
    const { requests, sampled } = preview
    const notes = [
      ...preview.warnings,
      ...Object.keys(node._def.defaults).flatMap((name) => {
        const advice = adviceOn(node, name)
        return advice === undefined ? [] : [`${text(`label.${name}`)}: ${advice}`]
      }),
      ...sampled.map(({ field, name }) => text('preview.sampled', { label: text(`label.${field}`), name })),
    ]
    const faults = problemsOf(node, preview)
    return [
      faults.length === 0
        ? line('redox-good', text('preview.noProblems'))
        : list('redox-bad', text('preview.problems'), faults),
      ...(notes.length === 0 ? [] : [list('', text('preview.warnings'), [...new Set(notes)])]),
      ...requests.map(requestPart),
    ]
  }

  const list = (className, title, items) =>
    $('<div>')
      .append(line(className, title))
      .append($('<ul>').append(items.map((item) => $('<li>').text(item))))

  function requestPart({ method, url, headers, body }) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    return $('<pre>')
      .attr('tabindex', 0)
      .text([`${method} ${url}`, ...lines, '', indented(body)].join('\n'))
  }

  function indented(body) {
    try {
      return JSON.stringify(JSON.parse(body), null, 2)
    } catch {
      return body
    }
  }

  // ---- The connection --------------------------------------------------------------------------------------

  function prepareConnection(node) {
    const form = prepare(node, 'node-config-input')
    const environment = form.find('#node-config-input-environment')
    const tell = () => showEnvironment(form, environment.typedInput('value'), environment.typedInput('type'))
    environment.on('change', tell)
    tell()
    tellSandboxCredentials(form, node)
    form.find('.redox-test').on('click', () => test(node, form))
    // What was tested is not what the form holds any more; an answer under way is not shown either.
    form.on('input change', () => forgetResult(form))
    form.find('.redox-generate').on('click', () => askToGenerate(form))
    // Another key was typed: what is shown of the generated one no longer belongs to it.
    form.find('#node-config-input-privateKey').on('input', () => form.find('.redox-key').hide())
    form.find('.redox-key-copy').on('click', function () {
      RED.clipboard.copyText(form.find('.redox-key-jwk').val(), $(this), text('key.copied'))
    })
    prepareStoreKey(form, node)
  }

  /** With the credentials of an account, the sandbox may be there by mistake: nothing would reach Redox. */
  function tellSandboxCredentials(form, node) {
    const place = form.find('.redox-sandbox-credentials')
    const read = reader(node)
    const tell = () => {
      const isSandbox = validators().holds('environmentType=environment;environment=Sandbox', read)
      const used = read('auth') === 'legacy' ? ['apiKey', 'secret'] : ['clientId', 'keyId', 'privateKey']
      const isFilled = used.some((name) => String(read(name) ?? '').trim() !== '')
      place.text(isSandbox && isFilled ? text('banner.credentials') : '')
    }
    form.on('change input', tell)
    tell()
  }

  /**
   * Durable delivery has a key from the beginning; one that was made here is shown until the dialog is closed. Where
   * there may be a store already, a new key could not read it: one is made when it is asked for.
   */
  function prepareStoreKey(form, node) {
    const delivery = form.find('#node-config-input-delivery')
    const key = form.find('#node-config-input-storeKey')
    const shown = form.find('.redox-store-key')
    const missing = form.find('.redox-store-key-missing')
    const wasDurable = (RED.nodes.originalFlow() ?? []).some(
      (saved) => saved.id === node.id && saved.delivery === 'durable',
    )
    let made
    const make = () => {
      made = randomKey()
      key.val(made).trigger('change')
    }
    const follow = () => {
      const isDurable = delivery.val() === 'durable'
      const isEmpty = key.val() === ''
      if (isDurable && isEmpty && !wasDurable) make()
      else if (!isDurable && !isEmpty && key.val() === made) key.val('').trigger('change')
      const isMade = isDurable && key.val() !== '' && key.val() === made
      const isNew = isMade && shown.is(':hidden')
      shown.toggle(isMade)
      // It is shown only once: it must not be below the visible part.
      if (isNew) shown[0].scrollIntoView({ block: 'center' })
      shown.find('input').val(isMade ? made : '')
      missing.toggle(isDurable && key.val() === '')
    }
    delivery.on('change', follow)
    key.on('change', follow)
    follow()
    missing.find('.redox-store-key-make').on('click', make)
    shown.find('.redox-store-key-copy').on('click', function () {
      RED.clipboard.copyText(made, $(this), text('key.copied'))
    })
  }

  const randomKey = () => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))

  async function test(node, form) {
    const { config, secrets } = connectionValues(node)
    tellResult(form, '', text('test.running'))
    form.find('.redox-at-fault').removeClass('redox-at-fault')
    const shown = resultOf(form).children()[0]
    try {
      const result = await ask('redox/test', { id: node.id, config, secrets })
      if (!shown.isConnected) return
      tellResult(form, result.ok ? 'redox-good' : 'redox-bad', resultText(result))
      markField(form, result.field)
    } catch (failure) {
      tellResult(form, 'redox-bad', failure)
    }
  }

  /** A secret that was not typed is left out: the runtime takes the stored one. */
  function connectionValues(node) {
    const read = reader(node)
    const secrets = ['privateKey', 'apiKey', 'secret'].flatMap((name) => {
      const value = read(name)
      return value === validators().STORED ? [] : [[name, value]]
    })
    return { config: formValues(node), secrets: Object.fromEntries(secrets) }
  }

  // A server may refuse the times of a request without telling its own.
  function keyOf({ ok, environment, reason, clockSkewSeconds }) {
    if (ok) return environment === 'Sandbox' ? 'okSandbox' : 'ok'
    return reason === 'clock' && clockSkewSeconds === undefined ? 'time' : reason
  }

  function resultText(result) {
    const { field, host, message, environment, clockSkewSeconds } = result
    const key = keyOf(result)
    return text(`test.${key}`, {
      environment: environment && text(`option.environment.${environment}`),
      field: field && text(`label.${field}`),
      host,
      message,
      seconds: Math.abs(clockSkewSeconds ?? 0),
    })
  }

  const resultOf = (form) => form.find('.redox-test-result')
  const forgetResult = (form) => resultOf(form).empty()

  function tellResult(form, className, content) {
    resultOf(form).empty().append(line(className, content))
  }

  function markField(form, field) {
    if (field === undefined) return
    const input = form.find(`#node-config-input-${field}`)
    // A host that nobody typed in is right: what cannot be reached is something else.
    if (field === 'apiBase' && input.val() === '') return
    input.closest('details').prop('open', true)
    input.addClass('redox-at-fault').trigger('focus')
    input.one('input', () => input.removeClass('redox-at-fault'))
  }

  /** A key that is there may be the only one that Redox knows. */
  function askToGenerate(form) {
    if (form.find('#node-config-input-privateKey').val() === '') return generate(form)
    const answer = (chosen) => () => {
      question.close()
      if (chosen) generate(form)
    }
    const question = RED.notify($('<p>').text(text('key.replace')), {
      type: 'warning',
      modal: true,
      fixed: true,
      buttons: [
        { text: text('button.cancel'), click: answer(false) },
        { text: text('button.replace'), class: 'primary', click: answer(true) },
      ],
    })
  }

  async function generate(form) {
    tellResult(form, '', text('key.generating'))
    try {
      const { privateKey, publicJwk } = await ask('redox/key-pair', {})
      form.find('#node-config-input-privateKey').val(privateKey).trigger('change')
      form.find('#node-config-input-keyId').val(publicJwk.kid).trigger('change')
      form.find('.redox-key-jwk').val(JSON.stringify(publicJwk, null, 2))
      form.find('.redox-key').show()
      form.find('.redox-test-result').empty()
    } catch (failure) {
      tellResult(form, 'redox-bad', failure)
    }
  }

  // ---- The palette -----------------------------------------------------------------------------------------

  const MODULE = '@ehr-flows/node-red-redox'

  // The palette has room for about twelve letters and breaks what is longer, at hyphens too. Names of two words stay on
  // one line in an entry that is a little wider. The palette listens to this event first.
  RED.events.on('registry:node-type-added', (type) => {
    const definition = RED.nodes.getType(type)
    if (definition?.set?.module !== MODULE) return
    checkTypedInputs(definition)
    const entry = $('.red-ui-palette-node').filter((_index, one) => one.dataset.paletteType === type)
    entry.addClass('redox-palette-node').css('height', '')
    entry.find('.red-ui-palette-label').text(entry.attr('data-palette-label'))
    entry.find('.red-ui-palette-port').css('top', '')
  })

  /**
   * Every typed input has a rule: what it holds can be read. Without one the editor marks it as long as the dialog is
   * open, an empty one too, and does not say why.
   */
  function checkTypedInputs({ defaults }) {
    for (const [name, property] of Object.entries(defaults))
      if (`${name}Type` in defaults) property.validate ??= validators().valid(name)
  }

  // ---- Environment variables -------------------------------------------------------------------------------

  // The editor validates a node when the node itself changes; its variables are changed elsewhere.
  let isCheckPlanned = false
  function planCheck() {
    if (isCheckPlanned) return
    isCheckPlanned = true
    setTimeout(() => {
      isCheckPlanned = false
      checkVariables()
    })
  }

  function checkVariables() {
    RED.nodes.eachNode((node) => {
      if (node._def?.set?.module !== MODULE) return true
      const wasValid = node.valid
      RED.editor.validateNode(node)
      if (node.valid !== wasValid) node.dirty = true
      return true
    })
    RED.view.redraw()
  }

  for (const event of ['flows:change', 'groups:change', 'subflows:change']) RED.events.on(event, planCheck)
  RED.events.on('nodes:change', ({ type }) => /^subflow:/.test(type) && planCheck())

  // ---- Older flows -----------------------------------------------------------------------------------------

  // Nodes that an earlier release saved are changed as they come in, before anybody opens them. The editor takes over
  // only properties of today, so what a flow file really had is looked up; an import by hand brings those alone.
  RED.events.on('nodes:add', (node) => {
    if (node._def?.set?.module !== MODULE) return
    const { versionOf, currentVersion, migrate } = window.RedoxMigrations
    if (versionOf(node) < currentVersion(node.type)) {
      const saved = (RED.nodes.originalFlow() ?? []).find(({ id }) => id === node.id) ?? node
      const migrated = migrate(node.type, saved)
      for (const name of Object.keys(node._def.defaults)) node[name] = migrated[name]
    }
    node.version ??= currentVersion(node.type)
  })

  const label = (name) => text(`label.${name}`)
  window.RedoxEditor = { takeOnlyConnection, prepareSender, prepareConnection, label }
})()
