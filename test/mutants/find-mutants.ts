/** All single changes of a source file that its tests should notice. */
import ts from 'typescript'

/** A change of the text of one file. */
export interface Mutant {
  /** Offsets of what is replaced. */
  start: number
  end: number
  replacement: string
  /** What kind of change it is. */
  kind: 'condition' | 'boundary' | 'operator' | 'constant' | 'statement' | 'return'
  /** Offsets of the whole expression, or statement, that has another value, or no effect, by it. */
  whole: { start: number; end: number }
  /** The whole stands at the start of a statement. */
  beginsStatement: boolean
}

const BOUNDARIES: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.LessThanToken, '<='],
  [ts.SyntaxKind.LessThanEqualsToken, '<'],
  [ts.SyntaxKind.GreaterThanToken, '>='],
  [ts.SyntaxKind.GreaterThanEqualsToken, '>'],
])

const OPERATORS: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.EqualsEqualsEqualsToken, '!=='],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, '==='],
  [ts.SyntaxKind.AmpersandAmpersandToken, '||'],
  [ts.SyntaxKind.BarBarToken, '&&'],
  [ts.SyntaxKind.PlusToken, '-'],
  [ts.SyntaxKind.MinusToken, '+'],
])

/** Constants from here on are changed by much. */
const LARGE_NUMBER = 1000

/**
 * Finds the mutants of a TypeScript source, in the order of the text. Types are left alone, and so is what provably has
 * no effect (`isWithoutEffect`).
 */
export function findMutants(fileName: string, text: string): Mutant[] {
  const file = ts.createSourceFile(fileName, text, ts.ScriptTarget.Latest, true)
  const mutants: Mutant[] = []
  const add = (node: ts.Node, replacement: string, kind: Mutant['kind'], whole: ts.Node = node) => {
    const wholeStart = whole.getStart(file)
    mutants.push({
      start: node.getStart(file),
      end: node.getEnd(),
      replacement,
      kind,
      whole: { start: wholeStart, end: whole.getEnd() },
      beginsStatement: !ts.isStatement(whole) && statementOf(whole)?.getStart(file) === wholeStart,
    })
  }
  const negate = (condition: ts.Expression) => {
    // The constant itself is a change of its own.
    if (isTruthValue(condition)) return
    add(condition, `!(${condition.getText(file)})`, 'condition')
  }
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isImportDeclaration(node)) return
    if (ts.isIfStatement(node) || ts.isWhileStatement(node) || ts.isDoStatement(node)) {
      negate(node.expression)
    } else if (ts.isConditionalExpression(node)) {
      negate(node.condition)
    } else if (ts.isBinaryExpression(node)) {
      const { kind } = node.operatorToken
      const boundary = isWithoutEffect(node, file) ? undefined : BOUNDARIES.get(kind)
      if (boundary !== undefined) add(node.operatorToken, boundary, 'boundary', node)
      const operator = isJoinOfTexts(node) ? undefined : OPERATORS.get(kind)
      if (operator !== undefined) add(node.operatorToken, operator, 'operator', node)
    } else if (ts.isNumericLiteral(node) && !ts.isLiteralTypeNode(node.parent) && !isName(node)) {
      // One more or less of a time-out or of half a gigabyte is no fault, nor is it in the 512 of `512 * 1024`.
      const others = productOf(node) < LARGE_NUMBER ? ['+ 1', '- 1'] : ['* 10', '* 0']
      for (const other of others) add(node, `(${node.getText(file)} ${other})`, 'constant')
    } else if (isTruthValue(node)) {
      add(node, node.kind === ts.SyntaxKind.TrueKeyword ? 'false' : 'true', 'constant')
    } else if (ts.isExpressionStatement(node) && isDroppable(node.expression)) {
      add(node, ';', 'statement')
    } else if (ts.isReturnStatement(node) && node.expression !== undefined && !isNothing(node.expression)) {
      add(node.expression, '(undefined as never)', 'return')
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return mutants
}

/**
 * `text` with every change in it, each behind a question: `__isMutant(1) ? (changed) : (as it was)`. The changes are
 * numbered as given, from `firstNumber` on; `switchPath` is the module that answers.
 */
export function withSwitches(
  text: string,
  mutants: readonly Mutant[],
  firstNumber: number,
  switchPath: string,
): string {
  const insertions = mutants.flatMap((mutant, at) => {
    const { start, end, replacement, whole, kind, beginsStatement } = mutant
    const isStatement = kind === 'statement'
    const asked = `__isMutant(${firstNumber + at})`
    const changed = text.slice(whole.start, start) + replacement + text.slice(end, whole.end)
    // A line that begins with a bracket would go on with the line before.
    const opening = isStatement
      ? `{ if (!${asked}) { `
      : `${beginsStatement ? 'void 0, ' : ''}(${asked} ? (${changed}) : (`
    // Wider ones enclose; of two as wide, a statement encloses the expression that it is.
    const depth = [-(whole.end - whole.start), isStatement ? 0 : 1, at]
    return [
      { at: whole.start, isEnd: false, depth, text: opening },
      { at: whole.end, isEnd: true, depth, text: isStatement ? ' } }' : '))' },
    ]
  })
  insertions.sort((a, b) => {
    if (a.at !== b.at) return a.at - b.at
    if (a.isEnd !== b.isEnd) return a.isEnd ? -1 : 1
    const order = a.depth.map((value, index) => value - b.depth[index]!).find((value) => value !== 0) ?? 0
    return a.isEnd ? -order : order
  })
  let result = `import { isMutant as __isMutant } from ${JSON.stringify(switchPath)};`
  let done = 0
  for (const insertion of insertions) {
    result += text.slice(done, insertion.at) + insertion.text
    done = insertion.at
  }
  return result + text.slice(done)
}

function statementOf(node: ts.Node): ts.Node | undefined {
  let at: ts.Node | undefined = node
  while (at !== undefined && !ts.isStatement(at)) at = at.parent
  return at !== undefined && ts.isExpressionStatement(at) ? at : undefined
}

/**
 * A comparison for the larger or smaller of two, `if (a > b) b = a` or `a > b ? a : b`: which of two equals is taken is
 * the same.
 */
function isWithoutEffect(node: ts.BinaryExpression, file: ts.SourceFile): boolean {
  const sides = [node.left.getText(file), node.right.getText(file)].sort()
  const areTheSides = (a: ts.Node, b: ts.Node) =>
    [a.getText(file), b.getText(file)].sort().every((side, index) => side === sides[index])
  const { parent } = node
  if (ts.isConditionalExpression(parent) && parent.condition === node)
    return areTheSides(parent.whenTrue, parent.whenFalse)
  if (!ts.isIfStatement(parent) || parent.elseStatement !== undefined) return false
  const then = parent.thenStatement
  return (
    ts.isExpressionStatement(then) &&
    ts.isBinaryExpression(then.expression) &&
    then.expression.operatorToken.kind === ts.SyntaxKind.EqualsToken &&
    areTheSides(then.expression.left, then.expression.right)
  )
}

/** The number, or the product of numbers of which it is a factor. */
function productOf(node: ts.NumericLiteral): number {
  let product: ts.Node = node
  while (ts.isBinaryExpression(product.parent) && numberIn(product.parent) !== undefined)
    product = product.parent
  return numberIn(product)!
}

/** Of a product of plain numbers. */
function numberIn(node: ts.Node): number | undefined {
  if (ts.isNumericLiteral(node)) return Number(node.text)
  if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.AsteriskToken)
    return undefined
  const [left, right] = [numberIn(node.left), numberIn(node.right)]
  return left === undefined || right === undefined ? undefined : left * right
}

/** A number that is the name of a property. */
function isName(node: ts.NumericLiteral): boolean {
  return 'name' in node.parent && node.parent.name === node
}

function isTruthValue(node: ts.Node): boolean {
  return node.kind === ts.SyntaxKind.TrueKeyword || node.kind === ts.SyntaxKind.FalseKeyword
}

/** What is `undefined`, or has a change of its own, beside which `undefined` for `false` says the same to who asks. */
function isNothing(node: ts.Expression): boolean {
  return isTruthValue(node) || (ts.isIdentifier(node) && node.text === 'undefined')
}

/** What runs for its effect; a call of `super` or of `expect` of the types is none. */
function isDroppable(expression: ts.Expression): boolean {
  if (ts.isCallExpression(expression)) return expression.expression.kind !== ts.SyntaxKind.SuperKeyword
  return (
    ts.isBinaryExpression(expression) ||
    ts.isPostfixUnaryExpression(expression) ||
    ts.isYieldExpression(expression)
  )
}

/** A plus between texts: a minus would only ever give NaN. */
function isJoinOfTexts(node: ts.BinaryExpression): boolean {
  const isText = (side: ts.Expression) => ts.isStringLiteralLike(side) || ts.isTemplateExpression(side)
  return isText(node.left) || isText(node.right)
}
