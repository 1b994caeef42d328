/**
 * Loads modules that would otherwise be loaded on first use: for root who changes to a user that may not read
 * our programs.
 */
export async function loadParts(): Promise<void> {
  await Promise.all([
    import('../../db/bulk-load.js'),
    import('../../db/file/backup-database.js'),
    import('../../db/file/check-database.js'),
    import('../../db/listing/listing-text.js'),
    import('../../db/listing/listing.js'),
    import('../../db/listing/readable-entries.js'),
    import('../../db/listing/sorted-listing.js'),
    import('../../db/scan-slice.js'),
    import('../../db/tables/tuple-limits.js'),
    import('../../db/undo.js'),
    import('../../domain/decide-import.js'),
    import('./dry-run.js'),
    import('./key-lines.js'),
    import('./typed-key.js'),
    import('../../platform/gathered-input.js'),
  ])
}
