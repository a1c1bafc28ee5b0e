// How nodes that an earlier release saved become nodes of this one. One file for both sides: the editor loads it
// as a script, the runtime requires it, so that a flow works the same before and after it is opened and deployed.
;(function (root) {
  'use strict'

  // steps[type][n - 1] gives the properties of version n + 1, from those of version n (a plain object that it
  // may change). Released steps are never changed; a new one comes with a fixture flow in test/fixtures/flows.
  const steps = {
    'redox-fhir-result': [renameStatus],
    'redox-fhir-document': [renameStatus],
  }

  // The editor keeps what a node shows beneath it in its property `status`: it took the place of what was typed.
  function renameStatus({ status, statusType, ...others }) {
    const typed = typeof status === 'string' && status !== '[object Object]' ? status : ''
    return { ...others, resourceStatus: typed, resourceStatusType: statusType || 'str' }
  }

  const stepsOf = (type) => steps[type] ?? []
  const currentVersion = (type) => stepsOf(type).length + 1

  // Release 0.1.0 saved no version.
  const versionOf = (saved) => Number(saved.version) || 1

  /** The properties as this release knows them; the same object when there is nothing to do. */
  function migrate(type, saved) {
    const from = versionOf(saved)
    const current = currentVersion(type)
    if (from >= current) return saved
    const migrated = stepsOf(type)
      .slice(from - 1)
      .reduce((properties, step) => step(properties), { ...saved })
    return { ...migrated, version: current }
  }

  const migrations = { steps, currentVersion, versionOf, migrate }
  if (typeof module === 'object') module.exports = migrations
  else root.RedoxMigrations = migrations
})(this)
