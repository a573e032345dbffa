// What the code compiled from manifest.schema.json offers.

/** The keywords of the schema that its explanations are made from. */
export interface SchemaPart {
  readonly description?: string;
  /** What is allowed, in words, where the keywords alone do not say it well. */
  readonly "x-allowed"?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly properties?: Readonly<Record<string, SchemaPart>>;
  readonly propertyNames?: SchemaPart;
}

/** One rule of the schema that a value broke, as ajv tells it. */
export interface SchemaError {
  /** JSON pointer (RFC 6901) to the value. */
  readonly instancePath: string;
  readonly schemaPath: string;
  readonly keyword: string;
  readonly params: {
    readonly additionalProperty?: string;
    readonly propertyName?: string;
    readonly missingProperty?: string;
  };
  /** The part of the schema that holds the rule. */
  readonly parentSchema: SchemaPart;
  /** The value. */
  readonly data: unknown;
  /** The key that is judged, when the rule is about keys. */
  readonly propertyName?: string;
}

export declare const validate: {
  (value: unknown): boolean;
  /** The broken rules of the last call. */
  errors: readonly SchemaError[] | null;
};
