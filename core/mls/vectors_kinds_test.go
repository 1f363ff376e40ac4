package mls

import (
	"crypto"
	"encoding/json"
	"testing"
)

// vectorKind is a format of test vectors: those of the MLS working group.
type vectorKind struct {
	name    string
	ofSuite bool
	// marks are fields that every case has, and no case of another kind all of;
	// nil where a case has any of those of messages and no others.
	marks []string
	run   func(*testing.T, *history, []vectorCase)
}

var vectorKinds = []*vectorKind{
	{"tree-math", false, []string{"n_leaves", "n_nodes"}, each[treeMathVector]},
	{"deserialization", false, []string{"vlbytes_header"}, each[deserializationVector]},
	{"messages", false, nil, each[messagesVector]},
	{"crypto-basics", true, []string{"sign_with_label", "encrypt_with_label"}, each[cryptoBasicsVector]},
	{"secret-tree", true, []string{"encryption_secret", "sender_data"}, each[secretTreeVector]},
	{"message-protection", true, []string{"membership_key", "proposal_pub"}, each[messageProtectionVector]},
	{"key-schedule", true, []string{"initial_init_secret"}, each[keyScheduleVector]},
	{"psk_secret", true, []string{"psks", "psk_secret"}, each[pskSecretVector]},
	{"transcript-hashes", true, []string{"authenticated_content"}, each[transcriptHashesVector]},
	{"tree-operations", true, []string{"tree_before", "proposal"}, each[treeOperationsVector]},
	{"tree-validation", true, []string{"tree", "tree_hashes"}, each[treeValidationVector]},
	{"treekem", true, []string{"update_paths", "leaves_private"}, each[treeKEMVector]},
	{"welcome", true, []string{"welcome", "signer_pub"}, each[welcomeVector]},
	{"passive-client", true, []string{"welcome", "encryption_priv"}, runPassiveClients},
}

// opaqueKind is what core/opaque has vectors of, perhaps in the same folder.
var opaqueKind = &vectorKind{name: "OPAQUE", marks: []string{"config", "inputs", "outputs"}}

// kindOf tells a case's kind by its fields, nil where there is not exactly one.
func kindOf(fields map[string]json.RawMessage) (found *vectorKind) {
	for _, k := range append([]*vectorKind{opaqueKind}, vectorKinds...) {
		if !k.matches(fields) {
			continue
		}
		if found != nil {
			return nil
		}
		found = k
	}
	return found
}

func (k *vectorKind) matches(fields map[string]json.RawMessage) bool {
	if k.marks == nil {
		for name := range fields {
			if messageNames[name] == nil {
				return false
			}
		}
		return len(fields) > 0
	}
	for _, m := range k.marks {
		if _, ok := fields[m]; !ok {
			return false
		}
	}
	if _, ok := fields["cipher_suite"]; k.ofSuite && !ok {
		return false
	}
	return true
}

// vector is the decoded case of a kind V.
type vector[V any] interface {
	*V
	follow(*testing.T, *suite)
}

// each follows one case after the other.
func each[V any, P vector[V]](t *testing.T, _ *history, cases []vectorCase) {
	for _, c := range cases {
		c.follow(t, func() {
			var v V
			c.decode(t, &v)
			P(&v).follow(t, c.suite)
		})
	}
}

func (c *vectorCase) decode(t *testing.T, v any) {
	if err := json.Unmarshal(c.raw, v); err != nil {
		t.Fatal(err)
	}
}

// follow runs f and tells the case, if something failed that had not.
func (c *vectorCase) follow(t *testing.T, f func()) {
	failed := t.Failed()
	defer func() {
		if t.Failed() && !failed {
			t.Logf("that was case %d, of %v", c.index, c.suite.id)
		}
	}()
	f()
}

// vectorSigner makes a signer of a private key as the vectors write it.
func vectorSigner(t *testing.T, s *suite, private []byte) crypto.Signer {
	t.Helper()
	signer, err := ParseSigner(s.id, private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// The formats cannot be mistaken for one another, and what is none of them is noticed.
func TestVectorKinds(t *testing.T) {
	for _, k := range append([]*vectorKind{opaqueKind}, vectorKinds...) {
		if k.marks == nil {
			continue
		}
		fields := map[string]json.RawMessage{"cipher_suite": nil, "more": nil}
		for _, m := range k.marks {
			fields[m] = nil
		}
		if got := kindOf(fields); got != k {
			t.Errorf("%s is taken for %v", k.name, got)
		}
		delete(fields, k.marks[0])
		if got := kindOf(fields); got != nil {
			t.Errorf("%s without %s is taken for %s", k.name, k.marks[0], got.name)
		}
	}
	for _, file := range []string{``, `[]`, `{}`, `[1]`, `[{"cipher_suite": 1}]`, `[{"welcome": "", "init_priv": ""}]`, `null`, `"x"`, `{} {}`, `{"commit": "", "other": ""}`} {
		cases, err := splitCases([]byte(file))
		for i, raw := range cases {
			if err == nil {
				_, _, err = classify(i, raw)
			}
		}
		if err == nil {
			t.Errorf("%s is taken for vectors", file)
		}
	}
	for _, file := range []string{
		`{"vlbytes_header": "00", "length": 0}`, ` [{"vlbytes_header": "40FF", "length": 255, "comment": null}]`,
		`{"mls_group_info": null, "commit": null}`,
	} {
		runVectors(t, newHistory(), []byte(file))
	}
}
