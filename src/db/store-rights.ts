/** The privileges with which a store works, see src/platform/lesser-rights.ts. */
export interface StoreRights {
  /** Runs something that uses no path beside the database with the previous privileges. */
  lift<Result>(action: () => Promise<Result>): Promise<Result>
  /** The store is closed. */
  release(): void
}
