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

/** Finds the mutants of a TypeScript source, in the order of the text. Types are left alone. */
export function findMutants(fileName: string, text: string): Mutant[] {
  const file = ts.createSourceFile(fileName, text, ts.ScriptTarget.Latest, true)
  const mutants: Mutant[] = []
  const add = (node: ts.Node, replacement: string, kind: Mutant['kind']) =>
    mutants.push({ start: node.getStart(file), end: node.getEnd(), replacement, kind })
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isImportDeclaration(node)) return
    if (ts.isIfStatement(node) || ts.isWhileStatement(node) || ts.isDoStatement(node)) {
      add(node.expression, `!(${node.expression.getText(file)})`, 'condition')
    } else if (ts.isConditionalExpression(node)) {
      add(node.condition, `!(${node.condition.getText(file)})`, 'condition')
    } else if (ts.isBinaryExpression(node)) {
      const { kind } = node.operatorToken
      const boundary = BOUNDARIES.get(kind)
      if (boundary !== undefined) add(node.operatorToken, boundary, 'boundary')
      const operator = isJoinOfTexts(node) ? undefined : OPERATORS.get(kind)
      if (operator !== undefined) add(node.operatorToken, operator, 'operator')
    } else if (ts.isNumericLiteral(node) && !ts.isLiteralTypeNode(node.parent)) {
      // One more or less of a time-out or of half a gigabyte is no fault.
      const others = Number(node.text) < LARGE_NUMBER ? ['+ 1', '- 1'] : ['* 10', '* 0']
      for (const other of others) add(node, `(${node.getText(file)} ${other})`, 'constant')
    } else if (node.kind === ts.SyntaxKind.TrueKeyword || node.kind === ts.SyntaxKind.FalseKeyword) {
      add(node, node.kind === ts.SyntaxKind.TrueKeyword ? 'false' : 'true', 'constant')
    } else if (ts.isExpressionStatement(node) && isDroppable(node.expression)) {
      add(node, ';', 'statement')
    } else if (ts.isReturnStatement(node) && node.expression !== undefined) {
      add(node.expression, '(undefined as never)', 'return')
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return mutants
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
