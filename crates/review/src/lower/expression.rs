//! Expressions: their text, their shape, and the parts of a condition.

use super::gather::{constant_string, operator_of};
use super::tree::{K, Node, Source, Tree, is_expression, is_query, text_of};
use crate::statement::{ColumnUse, Conjunct, Expression, ObjectName, Shape};

impl Source<'_> {
    pub(crate) fn expression(&self, node: &Node) -> Expression {
        let gathered = self.gather(node);
        let mut conjuncts = Vec::new();
        self.conjuncts(node, &mut conjuncts);
        Expression {
            span: self.span_of(node),
            text: text_of(node),
            shape: self.shape(node),
            functions: gathered.functions,
            columns: gathered.columns,
            casts: gathered.casts,
            operators: gathered.operators,
            tables: gathered.reads,
            conjuncts,
        }
    }

    /// The expression that is a direct child.
    pub(crate) fn expression_in(&self, node: &Node) -> Option<Expression> {
        node.expression().map(|node| self.expression(&node))
    }

    /// The expressions that are direct children.
    pub(crate) fn expressions(&self, node: &Node) -> Vec<Expression> {
        node.children().filter(|node| is_expression(node.kind())).map(|node| self.expression(&node)).collect()
    }

    /// The expression of a clause such as WHERE that is a direct child of that kind.
    pub(crate) fn clause(&self, node: &Node, kind: K) -> Option<Expression> {
        self.expression_in(&node.first(kind)?)
    }

    fn shape(&self, node: &Node) -> Shape {
        match node.kind() {
            K::PAREN_EXPR => match node.expression() {
                Some(inner) => self.shape(&inner),
                None if node.children().any(|child| is_query(child.kind())) => Shape::Subquery,
                None => Shape::Other,
            },
            K::LITERAL if node.has(K::NULL_KW) => Shape::Null,
            K::LITERAL if node.has(K::POSITIONAL_PARAM) || node.has(K::DEFAULT_KW) => Shape::Other,
            K::LITERAL => match constant_string(node) {
                Some(text) => Shape::String(text),
                None => Shape::Literal(text_of(node)),
            },
            K::PREFIX_EXPR if node.has(K::MINUS) || node.has(K::PLUS) => {
                match node.expression().map(|inner| self.shape(&inner)) {
                    Some(Shape::Literal(_)) => Shape::Literal(text_of(node)),
                    _ => Shape::Other,
                }
            }
            // A cast of a constant is one, although its input function may look at the time, as for 'now'.
            K::CAST_EXPR => match node.expression().map(|inner| self.shape(&inner)) {
                Some(constant @ (Shape::Null | Shape::Literal(_) | Shape::String(_))) => constant,
                _ => Shape::Other,
            },
            K::CALL_EXPR => self.call(node).map_or(Shape::Other, |call| Shape::Call(call.name)),
            K::NAME_REF | K::FIELD_EXPR => self.shape_of_name(node),
            _ => Shape::Other,
        }
    }

    fn shape_of_name(&self, node: &Node) -> Shape {
        let gathered = self.gather(node);
        match (gathered.columns.into_iter().next(), gathered.functions.into_iter().next()) {
            (Some(column), _) => Shape::Column(column),
            (None, Some(word)) => Shape::Call(ObjectName { ..word.name }),
            (None, None) => Shape::Other,
        }
    }

    /// Splits at the ANDs.
    fn conjuncts(&self, node: &Node, found: &mut Vec<Conjunct>) {
        let operands: Vec<Node> = node.children().filter(|child| is_expression(child.kind())).collect();
        match (node.kind(), operands.as_slice()) {
            (K::BIN_EXPR, [left, right]) if node.has(K::AND_KW) => {
                self.conjuncts(left, found);
                self.conjuncts(right, found);
            }
            (K::PAREN_EXPR, [inner]) => self.conjuncts(inner, found),
            (K::BETWEEN_EXPR, [column, low, high])
                if !node.has(K::NOT_KW)
                    && !node.has(K::SYMMETRIC)
                    && is_constant(low)
                    && is_constant(high) =>
            {
                match self.column(column) {
                    Some(column) => {
                        let part = |operator: &str, value: &Node| Conjunct::Compare {
                            column: column.column.clone(),
                            operator: operator.to_owned(),
                            value: text_of(value),
                        };
                        found.extend([part(">=", low), part("<=", high)]);
                    }
                    None => found.push(Conjunct::Other { text: text_of(node) }),
                }
            }
            _ => {
                let part = self.simple(node, &operands);
                found.push(part.unwrap_or_else(|| Conjunct::Other { text: text_of(node) }));
            }
        }
    }

    fn simple(&self, node: &Node, operands: &[Node]) -> Option<Conjunct> {
        match (node.kind(), operands) {
            (K::POSTFIX_EXPR, [operand]) => {
                let column = self.column(operand)?.column;
                match node.words().rsplit(' ').next()? {
                    "notnull" => Some(Conjunct::NotNull(column)),
                    "isnull" => Some(Conjunct::Null(column)),
                    _ => None,
                }
            }
            (K::PREFIX_EXPR, [operand]) if node.has(K::NOT_KW) => {
                let mut inner = Vec::new();
                self.conjuncts(operand, &mut inner);
                match inner.as_slice() {
                    [Conjunct::Null(column)] => Some(Conjunct::NotNull(column.clone())),
                    [Conjunct::NotNull(column)] => Some(Conjunct::Null(column.clone())),
                    _ => None,
                }
            }
            (K::BIN_EXPR, [left, right]) => self.comparison(node, left, right),
            _ => None,
        }
    }

    fn comparison(&self, node: &Node, left: &Node, right: &Node) -> Option<Conjunct> {
        let is_null = right.kind() == K::LITERAL && right.has(K::NULL_KW);
        if is_null && node.has(K::IS_NOT) {
            return Some(Conjunct::NotNull(self.column(left)?.column));
        }
        if is_null && node.has(K::IS_KW) {
            return Some(Conjunct::Null(self.column(left)?.column));
        }
        if node.has(K::IN_KW) {
            return self.one_of(left, right);
        }
        let operator = operator_of(node)?;
        if operator == "=" && right.kind() == K::CALL_EXPR {
            let array = right.first_of(&[K::ANY_FN, K::SOME_FN])?.expression()?;
            let array = if array.kind() == K::CAST_EXPR { array.expression()? } else { array };
            return self.one_of(left, &array);
        }
        let turned = match operator.as_str() {
            "=" => "=",
            "<>" | "!=" => "<>",
            "<" => ">",
            "<=" => ">=",
            ">" => "<",
            ">=" => "<=",
            _ => return None,
        };
        if is_constant(right) {
            let operator = if operator == "!=" { "<>".to_owned() } else { operator };
            let column = self.column(left)?.column;
            return Some(Conjunct::Compare { column, operator, value: text_of(right) });
        }
        let column = self.column(right).filter(|_| is_constant(left))?.column;
        Some(Conjunct::Compare { column, operator: turned.to_owned(), value: text_of(left) })
    }

    fn one_of(&self, left: &Node, list: &Node) -> Option<Conjunct> {
        let column = self.column(left)?.column;
        let is_list = matches!(list.kind(), K::TUPLE_EXPR | K::PAREN_EXPR | K::ARRAY_EXPR);
        let values: Vec<Node> = list.children().filter(|value| is_expression(value.kind())).collect();
        let is_constant = is_list && !values.is_empty() && values.iter().all(is_constant);
        is_constant.then(|| Conjunct::In { column, values: values.iter().map(text_of).collect() })
    }

    /// A column without its table: with it, it may be another table's.
    fn column(&self, node: &Node) -> Option<ColumnUse> {
        match node.kind() {
            K::PAREN_EXPR => self.column(&node.expression()?),
            K::NAME_REF => match self.shape_of_name(node) {
                Shape::Column(column) => Some(column),
                _ => None,
            },
            _ => None,
        }
    }
}

fn is_constant(node: &Node) -> bool {
    match node.kind() {
        K::LITERAL => !node.has(K::POSITIONAL_PARAM) && !node.has(K::DEFAULT_KW),
        K::PAREN_EXPR | K::CAST_EXPR => node.expression().is_some_and(|inner| is_constant(&inner)),
        K::PREFIX_EXPR if node.has(K::MINUS) || node.has(K::PLUS) => {
            node.expression().is_some_and(|inner| is_constant(&inner))
        }
        _ => false,
    }
}
