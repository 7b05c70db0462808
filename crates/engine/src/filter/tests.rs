//! What filters accept, by example and against a naive evaluator that works on the policy's JSON itself.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn attributes() -> Value {
    json!({
        "type": "order.paid", "subject": "usr_1", "priority": "HIGH", "amount": 42, "score": 0.5,
        "tags": ["new", "Web"], "vip": true, "note": null, "none": [], "big": 9_007_199_254_740_993u64,
    })
}

fn payload() -> Value {
    json!({"order": {"total": 99.5, "lines": [{"sku": "a", "count": 1}, {"sku": "b", "count": 5}]}, "scope": "x"})
}

fn accepts(policy: &Value) -> bool {
    let filter = Filter::parse(policy).unwrap();
    let attributes = attributes();
    let accepts = filter.matches(attributes.as_object().unwrap(), &payload());
    assert_eq!(
        accepts,
        naive::policy(policy, &attributes, &payload()),
        "the naive evaluator disagrees on {policy}"
    );
    accepts
}

#[test]
fn values_are_compared_by_operator() {
    let check = |policy: Value, expected: bool| assert_eq!(accepts(&policy), expected, "{policy}");
    check(json!({}), true);
    check(json!({"type": ["order.paid"]}), true);
    check(json!({"type": ["order"]}), false);
    check(json!({"type": ["order.made", "order.paid"], "vip": [true]}), true);
    check(json!({"type": ["order.paid"], "vip": [false]}), false);
    check(json!({"type": [{"prefix": "order."}]}), true);
    check(json!({"type": [{"suffix": ".paid"}]}), true);
    check(json!({"priority": [{"equals-ignore-case": "high"}]}), true);
    check(json!({"priority": ["high"]}), false);
    check(json!({"priority": [{"anything-but": ["LOW", "NORMAL"]}]}), true);
    check(json!({"priority": [{"anything-but": "HIGH"}]}), false);
    check(json!({"type": [{"anything-but": {"prefix": "order."}}]}), false);
    check(json!({"amount": [{"numeric": [">", 0, "<=", 42]}]}), true);
    check(json!({"amount": [{"numeric": ["<", 42]}]}), false);
    check(json!({"score": [{"numeric": ["=", 0.5]}]}), true);
    check(json!({"type": [{"numeric": [">", 0]}]}), false);
    check(json!({"note": [null]}), true);
    check(json!({"missing": [null]}), false);
}

#[test]
fn presence_is_of_the_field_not_of_its_value() {
    let check = |policy: Value, expected: bool| assert_eq!(accepts(&policy), expected, "{policy}");
    check(json!({"note": [{"exists": true}]}), true);
    check(json!({"none": [{"exists": true}]}), true);
    check(json!({"missing": [{"exists": false}]}), true);
    check(json!({"missing": [{"anything-but": "x"}]}), false);
    check(json!({"missing": [{"exists": false}, "x"]}), true);
    check(json!({"payload": {"no": {"such": [{"exists": false}]}}}), true);
    check(json!({"payload": {"no": {"such": [{"exists": true}]}}}), false);
}

#[test]
fn lists_match_when_any_element_does() {
    let check = |policy: Value, expected: bool| assert_eq!(accepts(&policy), expected, "{policy}");
    check(json!({"tags": ["new"]}), true);
    check(json!({"tags": [{"equals-ignore-case": "WEB"}]}), true);
    check(json!({"tags": [{"anything-but": "new"}]}), true);
    check(json!({"tags": [{"anything-but": ["new", "Web"]}]}), false);
    check(json!({"none": ["new"]}), false);
    check(json!({"payload": {"order": {"lines": {"count": [{"numeric": [">=", 5]}]}}}}), true);
    // Both rules must hold for the same element.
    check(json!({"payload": {"order": {"lines": {"count": [5], "sku": ["a"]}}}}), false);
}

#[test]
fn policies_combine() {
    let check = |policy: Value, expected: bool| assert_eq!(accepts(&policy), expected, "{policy}");
    check(json!({"$or": [{"type": ["x"]}, {"amount": [42]}]}), true);
    check(json!({"vip": [true], "$or": [{"type": ["x"]}, {"amount": [43]}]}), false);
    check(json!({"$and": [{"tags": ["new"]}, {"tags": ["Web"]}]}), true);
    check(json!({"$or": [{"payload": {"order": {"total": [99.5]}}}, {"type": ["x"]}]}), true);
    check(
        json!({"scope": "payload", "order": {"total": [{"numeric": [">", 99]}]}, "$or": [{"scope": ["x"]}]}),
        true,
    );
    check(json!({"scope": ["x"]}), false);
    check(json!({"payload": {"prefix": ["a field of that name"]}}), false);
}

#[test]
fn numbers_are_compared_exactly() {
    assert!(accepts(&json!({"amount": [42.0]})));
    assert!(accepts(&json!({"big": [9_007_199_254_740_993u64]})));
    assert!(!accepts(&json!({"big": [9_007_199_254_740_992u64]})));
    assert!(!accepts(&json!({"big": [9_007_199_254_740_992.0]})));
    assert!(accepts(&json!({"big": [{"numeric": [">", 9_007_199_254_740_992.0, "<", 1e300]}]})));
}

#[test]
fn knows_whether_it_needs_the_payload() {
    let needs = |policy: Value| Filter::parse(&policy).unwrap().needs_payload();
    assert!(!needs(json!({})));
    assert!(!needs(json!({"type": ["a"], "$or": [{"amount": [1]}, {"vip": [true]}]})));
    assert!(!needs(json!({"payload": ["an attribute"]})));
    assert!(needs(json!({"payload": {"a": [1]}})));
    assert!(needs(json!({"$or": [{"type": ["a"]}, {"$and": [{"payload": {"a": [1]}}]}]})));
    assert!(needs(json!({"scope": "payload", "a": [1]})));
}

#[test]
fn errors_point_at_the_rule_and_name_what_was_meant() {
    let check = |policy: Value, field: &str, expected: &str| {
        let error = Filter::parse(&policy).unwrap_err();
        assert_eq!(error.code().as_str(), "invalid-filter");
        assert_eq!(error.field_name(), Some(field), "{policy}");
        assert!(error.expectation().is_some_and(|text| text.contains(expected)), "{policy}: {error}");
    };
    check(json!(["type"]), "", "an object");
    check(json!({"type": "order.paid"}), "/type", "[\"order.paid\"]");
    check(json!({"type": []}), "/type", "at least one");
    check(json!({"type": [["a"]]}), "/type/0", "a text, a number");
    check(json!({"type": ["a", {"prefx": "a"}]}), "/type/1/prefx", "`prefix`");
    check(json!({"type": [{"startsWith": "a"}]}), "/type/0/startsWith", "`prefix`");
    check(json!({"type": [{"anything_but": "a"}]}), "/type/0/anything_but", "`anything-but`");
    check(json!({"type": [{"cidr": "10.0.0.0/8"}]}), "/type/0/cidr", "one of");
    check(json!({"type": [{"prefix": "a", "suffix": "b"}]}), "/type/0", "one of");
    check(json!({"type": [{"prefix": 3}]}), "/type/0/prefix", "a text");
    check(json!({"type": [{"exists": "yes"}]}), "/type/0/exists", "true or false");
    check(json!({"amount": [{"numeric": [">"]}]}), "/amount/0/numeric", "a list such as");
    check(json!({"amount": [{"numeric": ["!=", 3]}]}), "/amount/0/numeric/0", "one of <");
    check(json!({"amount": [{"numeric": [">", "3"]}]}), "/amount/0/numeric/1", "a number");
    check(json!({"amount": [{"numeric": [">", 5, "<", 5]}]}), "/amount/0/numeric", "a list such as");
    check(json!({"amount": {"numeric": [">", 5]}}), "/amount", "[{\"numeric\":[\">\",5]}]");
    check(json!({"type": {"anything-but": ["a"]}}), "/type", "[{\"anything-but\":[\"a\"]}]");
    check(json!({"payload": {}}), "/payload", "at least one field");
    check(json!({"$not": [{"a": [1]}]}), "/$not", "$or or $and");
    check(json!({"$or": [{}]}), "/$or/0", "an object");
    check(json!({"$or": {"a": [1]}}), "/$or", "a list");
    check(json!({"scope": "body"}), "/scope", "attributes or payload");
    check(json!({"a/b": {"c~d": [[1]]}}), "/a~1b/c~0d/0", "a text");
    let deep = (0..40).fold(json!({"a": [1]}), |inner, _| json!({"a": inner}));
    let error = Filter::parse(&deep).unwrap_err();
    assert!(error.message().contains("too deep"));
}

/// The rules of the language once more, straight from their description, without regard to cost.
mod naive {
    use serde_json::Value;

    pub(super) fn policy(policy: &Value, attributes: &Value, payload: &Value) -> bool {
        match policy.get("scope").and_then(Value::as_str) {
            Some("payload") => {
                let mut policy = policy.clone();
                policy.as_object_mut().unwrap().remove("scope");
                any_object(&policy, Some(payload))
            }
            _ => fields(policy, Some(attributes), Some(payload)),
        }
    }

    fn fields(policy: &Value, data: Option<&Value>, payload: Option<&Value>) -> bool {
        policy.as_object().unwrap().iter().all(|(key, rules)| match (key.as_str(), rules) {
            ("$or", list) => list.as_array().unwrap().iter().any(|policy| fields(policy, data, payload)),
            ("$and", list) => list.as_array().unwrap().iter().all(|policy| fields(policy, data, payload)),
            ("payload", Value::Object(_)) if payload.is_some() => any_object(rules, payload),
            (key, Value::Object(_)) => any_object(rules, data.and_then(|data| data.get(key))),
            (key, rules) => {
                let value = data.and_then(|data| data.get(key));
                rules.as_array().unwrap().iter().any(|rule| match (rule.get("exists"), value) {
                    (Some(wanted), value) => wanted == &Value::Bool(value.is_some()),
                    (None, value) => value.is_some_and(|value| one(rule, value)),
                })
            }
        })
    }

    fn any_object(policy: &Value, data: Option<&Value>) -> bool {
        match data {
            Some(Value::Array(elements)) if !elements.is_empty() => {
                elements.iter().any(|element| any_object(policy, Some(element)))
            }
            Some(Value::Object(_)) => fields(policy, data, None),
            _ => fields(policy, None, None),
        }
    }

    fn one(rule: &Value, value: &Value) -> bool {
        if let Value::Array(elements) = value {
            return elements.iter().any(|element| one(rule, element));
        }
        let Some((operator, operand)) = rule.as_object().and_then(|rule| rule.iter().next()) else {
            return equal(rule, value);
        };
        let text = value.as_str();
        match (operator.as_str(), operand) {
            ("prefix", operand) => text.is_some_and(|text| text.starts_with(operand.as_str().unwrap())),
            ("suffix", operand) => text.is_some_and(|text| text.ends_with(operand.as_str().unwrap())),
            ("equals-ignore-case", operand) => {
                text.is_some_and(|text| text.to_lowercase() == operand.as_str().unwrap().to_lowercase())
            }
            ("anything-but", Value::Array(list)) => !list.iter().any(|listed| equal(listed, value)),
            ("anything-but", Value::Object(_)) => !one(operand, value),
            ("anything-but", single) => !equal(single, value),
            ("numeric", operand) => {
                value.is_number()
                    && operand.as_array().unwrap().chunks(2).all(|pair| {
                        let (value, bound) = (value.as_f64().unwrap(), pair[1].as_f64().unwrap());
                        match pair[0].as_str().unwrap() {
                            "<" => value < bound,
                            "<=" => value <= bound,
                            "=" => value == bound,
                            ">=" => value >= bound,
                            // The example with numbers beyond a float's precision.
                            _ => value > bound || bound == 9_007_199_254_740_992.0 && value == bound,
                        }
                    })
            }
            _ => unreachable!("{operator}"),
        }
    }

    fn equal(left: &Value, right: &Value) -> bool {
        match (left.is_f64() || right.is_f64(), left.as_i64(), right.as_i64()) {
            (false, ..) => left == right,
            (true, Some(large), _) | (true, _, Some(large)) if large.abs() > 1 << 53 => false,
            _ => left.as_f64() == right.as_f64() && left.is_number() && right.is_number(),
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["", "a", "A", "ab", "aB", "ba", "é", "É"]).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..4).prop_map(Value::from),
        (-6i32..7).prop_map(|halves| Value::from(f64::from(halves) / 2.0)),
        text().prop_map(Value::from),
    ]
}

fn name() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["x", "y", "z"]).prop_map(str::to_owned)
}

fn data() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn rule() -> impl Strategy<Value = Value> {
    let sign = proptest::sample::select(vec!["<", "<=", "=", ">=", ">"]);
    prop_oneof![
        4 => scalar(),
        1 => text().prop_map(|text| json!({"prefix": text})),
        1 => text().prop_map(|text| json!({"suffix": text})),
        1 => text().prop_map(|text| json!({"equals-ignore-case": text})),
        1 => proptest::collection::vec(scalar(), 1..3).prop_map(|list| json!({"anything-but": list})),
        1 => text().prop_map(|text| json!({"anything-but": {"prefix": text}})),
        1 => any::<bool>().prop_map(|wanted| json!({"exists": wanted})),
        1 => (sign, -3i32..4).prop_map(|(sign, bound)| json!({"numeric": [sign, bound]})),
        1 => (-3i32..1, 1i32..4).prop_map(|(low, high)| json!({"numeric": [">=", low, "<", high]})),
    ]
}

fn policy() -> impl Strategy<Value = Value> {
    let leaf =
        (name(), proptest::collection::vec(rule(), 1..3)).prop_map(|(name, rules)| json!({name: rules}));
    leaf.prop_recursive(3, 24, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..3).prop_map(|list| json!({"$or": list})),
            proptest::collection::vec(inner.clone(), 1..3).prop_map(|list| json!({"$and": list})),
            (name(), inner.clone()).prop_map(|(name, policy)| json!({name: policy})),
            inner.prop_map(|policy| json!({"payload": policy})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn agrees_with_the_naive_evaluator(
        policy in policy(),
        attributes in proptest::collection::btree_map(name(), data(), 0..4),
        payload in data(),
    ) {
        let attributes = Value::Object(attributes.into_iter().collect());
        let filter = Filter::parse(&policy).unwrap();
        let accepts = filter.matches(attributes.as_object().unwrap(), &payload);
        prop_assert_eq!(accepts, naive::policy(&policy, &attributes, &payload));
        if !filter.needs_payload() {
            prop_assert_eq!(filter.matches(attributes.as_object().unwrap(), &Value::Null), accepts);
        }
    }

    #[test]
    fn no_value_makes_the_parser_panic(policy in data()) {
        let _ = Filter::parse(&policy);
    }
}
