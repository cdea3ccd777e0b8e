/** Stands in for `@std/testing/bdd` where only npm is reachable. */
export {
  after as afterAll,
  afterEach,
  before as beforeAll,
  beforeEach,
  describe,
  it,
} from "node:test";
