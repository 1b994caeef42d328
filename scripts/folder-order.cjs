/**
 * The folders inside each layer, those that use others first: imports between them point to the right only. Files beside
 * the folders join them or serve several. The layer check enforces this order, the documentation check that the tables of
 * docs/architecture.md have it.
 */
exports.FOLDERS = {
  app: [
    ...['report', 'why', 'doctor', 'metrics', 'losing', 'release', 'failover', 'init', 'allow'],
    ...['sync', 'lists', 'database'],
  ],
  cli: [
    ...['allow', 'database', 'spamdb', 'report', 'losing', 'operations', 'release'],
    ...['failover', 'init', 'setup', 'spamd', 'spamlogd', 'completion'],
  ],
  codec: ['spf', 'dns', 'spamd-conf', 'lists', 'config-line', 'smtp', 'capture', 'system', 'database'],
  daemon: ['metrics', 'sync', 'grey', 'checks', 'smtp', 'spamlogd', 'lists', 'process', 'store'],
  db: ['postgres', 'file', 'listing', 'tables'],
  platform: ['native'],
}
