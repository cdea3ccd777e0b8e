/**
 * Stands in for `@db/postgres` where only npm is reachable: the same shapes, answers and failures as
 * its version 0.19.5, read from its source, over node-postgres. It has what the adapter uses, and
 * what it must cope with:
 *
 * - int8 comes as a bigint, float8 as text, json as a value;
 * - a statement without arguments goes by the simple protocol and may be a script;
 * - an open transaction locks its client; the first error in it ends it;
 * - a client whose connection broke goes on believing that it is connected, and fails each time,
 *   `end()` included; `connect()` does nothing as long as it believes so;
 * - a pool that cannot connect a client has lost it.
 */

import pg from "pg";

/** Tells a test which of the two it has. */
export const standIn = true;

class PostgresError extends Error {
  override readonly name = "PostgresError";
  constructor(readonly fields: { message: string; code: string; severity: string }) {
    super(fields.message);
  }
}

class TransactionError extends Error {
  override readonly name = "TransactionError";
  constructor(transaction: string, cause: PostgresError) {
    super(`The transaction "${transaction}" has been aborted`, { cause });
  }
}

interface QueryOptions {
  text: string;
  args?: unknown[];
}

interface Result {
  rows: unknown[][];
  rowDescription?: { columns: { name: string; typeOid: number }[] };
}

const OID = { bool: 16, int8: 20, int2: 21, int4: 23, json: 114, float4: 700, jsonb: 3802 };

function decode(oid: number, text: string): unknown {
  if (oid === OID.bool) return text === "t";
  if (oid === OID.int8) return BigInt(text);
  if (oid === OID.int2 || oid === OID.int4 || oid === OID.float4) return Number(text);
  if (oid === OID.json || oid === OID.jsonb) return JSON.parse(text);
  return text;
}

const types = { getTypeParser: (oid: number) => (text: string) => decode(oid, text) };

export class Client {
  #client: pg.Client | null = null;
  #broken = false;
  #terminated = false;
  #transaction: string | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(readonly url: string) {}

  get connected(): boolean {
    return this.#client !== null;
  }

  get session(): { current_transaction: string | null } {
    return { current_transaction: this.#transaction };
  }

  async connect(): Promise<void> {
    if (this.connected) return;
    await this.#startup();
    this.#terminated = false;
  }

  async #startup(): Promise<void> {
    await this.#client?.end().catch(() => {});
    this.#client = null;
    this.#broken = false;
    const client = new pg.Client({ connectionString: this.url });
    client.on("error", () => {
      if (this.#client === client) this.#broken = true;
    });
    try {
      await client.connect();
    } catch (error) {
      if ((error as { code?: string }).code !== "ECONNREFUSED") throw rewrap(error);
      throw named("ConnectionRefused", "Connection refused (os error 111)");
    }
    this.#client = client;
  }

  async end(): Promise<void> {
    if (this.#broken) throw named("BrokenPipe", "Broken pipe (os error 32)");
    await this.#client?.end();
    this.#client = null;
    this.resetSession();
    this.#terminated = true;
  }

  protected resetSession(): void {
    this.#transaction = null;
  }

  createTransaction(name: string): Transaction {
    this.#assertOpen();
    return new Transaction(
      name,
      this,
      (query) => this.#execute(query),
      (lock) => this.#transaction = lock,
    );
  }

  queryArray(query: QueryOptions | string): Promise<Result> {
    this.#assertOpen();
    if (this.#transaction !== null) {
      throw new Error(
        `This connection is currently locked by the "${this.#transaction}" transaction`,
      );
    }
    return this.#execute(typeof query === "string" ? { text: query } : query);
  }

  #assertOpen(): void {
    if (this.#terminated) throw new Error("Connection to the database has been terminated");
  }

  #execute({ text, args = [] }: QueryOptions): Promise<Result> {
    const run = this.#last.then(async () => {
      if (!this.connected) await this.#startup();
      if (this.#broken) throw named("BrokenPipe", "Broken pipe (os error 32)");
      const values = args.map((arg) => arg === null ? null : String(arg));
      try {
        const results = await this.#client!.query({
          text,
          values: values.length > 0 ? values : undefined,
          rowMode: "array",
          types,
        });
        const result = Array.isArray(results) ? results.at(-1) : results;
        const columns = result.fields?.map((
          { name, dataTypeID }: { name: string; dataTypeID: number },
        ) => ({ name, typeOid: dataTypeID }));
        return { rows: result.rows, rowDescription: columns?.length ? { columns } : undefined };
      } catch (error) {
        throw rewrap(error);
      }
    });
    this.#last = run.catch(() => {});
    return run;
  }
}

export class Transaction {
  #savepoints = 0;

  constructor(
    readonly name: string,
    readonly client: Client,
    readonly execute: (query: QueryOptions) => Promise<Result>,
    readonly lock: (name: string | null) => void,
  ) {}

  #assertOpen(): void {
    if (this.client.session.current_transaction === this.name) return;
    throw new Error(
      'This transaction has not been started yet, make sure to use the "begin" method to do so',
    );
  }

  async begin(): Promise<void> {
    await this.client.queryArray("BEGIN READ WRITE ISOLATION LEVEL READ COMMITTED;");
    this.lock(this.name);
  }

  async commit(): Promise<void> {
    this.#assertOpen();
    await this.queryArray("COMMIT ");
    this.lock(null);
  }

  async rollback(): Promise<void> {
    this.#assertOpen();
    await this.queryArray("ROLLBACK ");
    this.lock(null);
  }

  async savepoint(name: string): Promise<void> {
    this.#savepoints++;
    await this.queryArray(`SAVEPOINT ${name}`);
  }

  async queryArray(query: QueryOptions | string): Promise<Result> {
    this.#assertOpen();
    try {
      return await this.execute(typeof query === "string" ? { text: query } : query);
    } catch (error) {
      if (!(error instanceof PostgresError)) throw error;
      await this.commit();
      throw new TransactionError(this.name, error);
    }
  }
}

class PoolClient extends Client {
  constructor(url: string, readonly giveBack: (client: PoolClient) => void) {
    super(url);
  }

  release(): void {
    this.giveBack(this);
    this.resetSession();
  }
}

export class Pool {
  #idle: PoolClient[];
  #waiting: ((client: PoolClient) => void)[] = [];

  /** Lazy pools only: a client connects when it is first given out. */
  constructor(url: string, readonly size: number, _lazy: boolean) {
    const giveBack = (client: PoolClient) => {
      const next = this.#waiting.shift();
      if (next) next(client);
      else this.#idle.push(client);
    };
    this.#idle = Array.from({ length: size }, () => new PoolClient(url, giveBack));
  }

  get available(): number {
    return this.#idle.length;
  }

  async connect(): Promise<PoolClient> {
    const client = this.#idle.pop() ??
      await new Promise<PoolClient>((resolve) => this.#waiting.push(resolve));
    if (!client.connected) await client.connect();
    return client;
  }

  async end(): Promise<void> {
    for (let client; (client = this.#idle.pop());) await client.end();
  }
}

/** The server's errors become those of the client; a broken connection is told as Deno tells it. */
function rewrap(error: unknown): unknown {
  const { code, message, severity } = error as { code?: string; message: string; severity: string };
  if (severity !== undefined && code !== undefined && severity !== "FATAL") {
    return new PostgresError({ message, code, severity });
  }
  return named("ConnectionError", "The session was terminated unexpectedly");
}

function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}
