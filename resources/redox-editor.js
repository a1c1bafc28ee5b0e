// What the dialogs of all redox nodes share. Loaded by redox-config.html; plain script, no build.
;(function () {
  'use strict'

  // Shown once the choice that a row belongs to is made: data-when="eventType=Replace,Delete".
  function showRows(form, prefix) {
    form.find('[data-when]').each(function () {
      const [name, values] = $(this).attr('data-when').split('=')
      $(this).toggle(values.split(',').includes(form.find(`#${prefix}-${name}`).val()))
    })
  }

  // <input data-types="msg,str,…"> with a hidden <input id="…Type"> beside it.
  function makeTypedInputs(form) {
    form.find('input[data-types]').each(function () {
      const placeholder = $(this).attr('placeholder')
      const types = $(this).attr('data-types').split(',')
      $(this).typedInput({ types, default: types[0], typeField: `#${this.id}Type` })
      $(this)
        .siblings('.red-ui-typedInput-container')
        .find('.red-ui-typedInput-input')
        .attr('placeholder', placeholder)
    })
  }

  // A section that holds something is opened, so that nothing set is out of sight.
  function openFilledSections(form, node, definition) {
    form.find('details:not([open])').each(function () {
      const filled = $(this)
        .find('input[id], select[id], textarea[id]')
        .toArray()
        .some((input) => {
          const name = input.id.replace(/^node-(config-)?input-/, '')
          const standard = definition.defaults[name]
          return standard && node[name] !== undefined && String(node[name]) !== String(standard.value)
        })
      if (filled) this.open = true
    })
  }

  function prepare(node, prefix = 'node-input') {
    const scope = $(`#${prefix}-name`).closest('form').addClass('redox-form')
    makeTypedInputs(scope)
    scope.find('select').on('change', () => showRows(scope, prefix))
    showRows(scope, prefix)
    openFilledSections(scope, node, node._def)
  }

  window.RedoxEditor = { prepare }
})()
