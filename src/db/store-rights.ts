/** The rights with which a store works, see src/platform/lesser-rights.ts. */
export interface StoreRights {
  /** Runs something that does not name anything beside the database with the rights of before. */
  lift<Result>(action: () => Promise<Result>): Promise<Result>
  /** The store is closed. */
  release(): void
}
