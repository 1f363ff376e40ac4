package mls

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rules is the list of what RFC 9420 tells a receiver to check, by section, each
// with the names of the test cases that break it. That the authentication
// service does its part, and the caller its own, is not for this list.
var rules = []struct {
	section, rule string
	cases         []string
}{
	{"2.1", "vectors have the shortest form of length, and nothing trails", []string{"content length", "a length of two bytes", "TestTruncated"}},
	{"2.1", "values of enumerations and of optional are known", []string{"presence", "wire format", "node type"}},
	{"5.3.1", "the authentication service accepts a new leaf", []string{"TestAuthenticationServiceRefuses", "update that the authentication service refuses"}},
	{"5.3.1", "a leaf that replaces another is the same client's", []string{"another client's leaf removed"}},

	{"6", "protocol version", []string{"another version"}},
	{"6", "group id", []string{"of another group", "another group"}},
	{"6", "epoch", []string{"of a later epoch", "handshake of a past epoch", "old epoch", "future epoch"}},
	{"6", "sender types and what they may send", []string{"commit by an external sender", "commits: proposal", "joins: removal"}},
	{"6", "content is of the type that the framing names", []string{"commit for a proposal"}},
	{"6.1", "signature", []string{"public signature", "signature garbled", "signature missing", "in another's name", "other additional data than signed"}},
	{"6.1", "signature covers the group context or not, by the sender's type", []string{"external: signed in the context", "joins: signed in the context"}},
	{"6.1", "a member's leaf is not blank", []string{"not a member"}},
	{"6.1", "confirmation tag", []string{"commit's confirmation tag garbled", "commit's confirmation tag short", "commit's confirmation tag empty", "wrong confirmation tag"}},
	{"6.2", "membership tag", []string{"membership tag", "short membership tag"}},
	{"6.2", "no application data in a public message", []string{"public application", "external: application", "joins: application"}},
	{"6.3.1", "padding is zero", []string{"padding"}},
	{"6.3.2", "sender is a leaf that is not blank", []string{"from a blank leaf", "sender beyond the tree", "sender at a blank leaf"}},
	{"9.1", "a generation is used once, and not far ahead", []string{"TestOutOfOrder", "generation far ahead", "under another generation's key"}},

	{"7.1", "unmerged leaves are in order, once each", []string{"unmerged leaves out of order", "unmerged leaf twice"}},
	{"7.1", "keys of parents are keys", []string{"key of a parent that is none"}},
	{"7.2", "leaf supports the group's version", []string{"version not among the capabilities", "key package without the version", "leaf without the version"}},
	{"7.2", "leaf supports the group's suite", []string{"suite not among the capabilities", "key package without the suite", "leaf without the suite"}},
	{"7.2", "leaf supports the group context's extensions", []string{"group context extension not among the capabilities", "joiner without the group's extension", "leaf without the group's extension"}},
	{"7.2", "lifetime", []string{"lifetime that ends first", "TestCommitRefuses"}},
	{"7.3", "signature of a leaf, for its place", []string{"path leaf with a bad signature", "path leaf signed for another place", "update signed for another place", "leaf signature"}},
	{"7.3", "leaf's credential is among its capabilities", []string{"credential not among the capabilities", "key package without its credential", "leaf's credential not among its capabilities"}},
	{"7.3", "leaf's extensions are among its capabilities", []string{"leaf extension not among the capabilities", "leaf with an unlisted extension", "leaf's extension not among its capabilities"}},
	{"7.3", "all support all credential types in use", []string{"credential that others do not support", "credential others do not support"}},
	{"7.3", "signature keys are unique", []string{"adds twice", "adds a member", "the same leaf twice", "leaf with a member's signature key"}},
	{"7.3", "encryption keys are unique", []string{"another leaf's encryption key", "a parent's encryption key", "leaf's encryption key twice", "key of a parent twice"}},
	{"7.3", "encryption key is a key", []string{"encryption key that is none", "key package with a short encryption key"}},
	{"7.3", "a new leaf has a new encryption key", []string{"the old encryption key", "path leaf with the old key", "leaf with the lost leaf's encryption key"}},
	{"7.3", "required capabilities", []string{"TestRequiredCapabilities"}},
	{"7.4", "path secrets have the hash's length", []string{"short path secret", "long path secret"}},
	{"7.6", "keys of a path are keys", []string{"path key malformed"}},
	{"7.6", "as many ciphertexts as the resolution has nodes", []string{"ciphertext missing", "ciphertext too many"}},
	{"7.9.2", "parent hashes", []string{"path leaf with a wrong parent hash", "path key replaced", "parent hash", "leaf of another parent hash", "leaf of an update over a path"}},

	{"8", "joiner secret has the hash's length", []string{"short joiner secret"}},
	{"8.4", "PSKs are known", []string{"unknown PSK", "PSK of an epoch to come"}},
	{"8.4", "PSK nonce has the hash's length", []string{"nonce of the old suite's length", "short PSK nonce", "proposed PSK with a long nonce"}},
	{"10", "key package's leaf is a key package's", []string{"key package with an update's leaf", "proposed key package with a path's leaf"}},
	{"10", "init key is a key", []string{"key package with a short init key"}},
	{"10.1", "init key is not the encryption key", []string{"key package with one key for both"}},
	{"10.1", "signature of a key package", []string{"key package with a bad signature", "key package whose leaf has a bad signature", "joins: bad key package"}},
	{"11.1", "new requirements are met by all", []string{"required extension not supported", "required proposal not supported", "required credential not supported"}},
	{"11.2", "successor's parameters and members", []string{"another group id", "other extensions", "a member missing", "a stranger added", "epoch 2", "PSK of the epoch before"}},
	{"11.3", "branch's members", []string{"a stranger", "id of the group", "of an epoch not seen"}},

	{"12.1.1", "key package is of the group's suite", []string{"key package of another suite", "proposed key package of another suite"}},
	{"12.1.2", "leaf of an update is an update's", []string{"leaf of a key package in an update", "update's leaf in a path and path's in an update"}},
	{"12.1.3", "whom to remove is there", []string{"remove of a blank leaf", "remove outside the tree", "proposed removal of a blank leaf"}},
	{"12.1.4", "usage of a resumption PSK", []string{"PSK of a branch", "PSK of a re-initialisation"}},
	{"12.1.5", "version of a re-initialisation", []string{"older version"}},
	{"12.1.6", "external init is for external commits", []string{"external init", "external: external init"}},
	{"12.1.7", "all support the new extensions", []string{"extension not supported"}},
	{"12.1.8", "what may come from outside", []string{"external: update", "external: self-remove", "joins: removal"}},
	{"12.1.8.1", "external senders are on the list", []string{"no such sender", "another's number"}},
	{"12.2", "no update by the committer", []string{"update by value", "update by the committer"}},
	{"12.2", "committer does not remove itself", []string{"removes itself"}},
	{"12.2", "one proposal for a leaf", []string{"removes twice", "update and remove", "self-remove and remove", "the same reference twice"}},
	{"12.2", "one group context extensions proposal", []string{"extensions twice"}},
	{"12.2", "a PSK once", []string{"the same PSK twice"}},
	{"12.2", "re-initialisation alone", []string{"beside another", "beside a removal", "after a PSK"}},
	{"12.2", "proposal types that all who stay support", []string{"TestSelfRemoveSupport"}},
	{"12.2", "what an external commit contains", []string{"no external init", "two external inits", "two removals", "add", "group context extensions"}},
	{"12.4", "referenced proposals are known", []string{"unknown reference"}},
	{"12.4", "path where it is needed", []string{"no path", "no path for a removal", "empty commit without a path"}},
	{"12.4.2", "leaf of a path is a commit's", []string{"path leaf of another source", "leaf of another source"}},
	{"12.4.2", "a path has the filtered direct path's length", []string{"path too short", "path too long"}},
	{"12.4.2", "keys of a path are new to the tree", []string{"path leaf with another's encryption key"}},
	{"12.4.2", "path secrets fit the keys", []string{"another path secret", "path secret"}},
	{"12.4.2", "path secrets decrypt", []string{"path secret garbled", "encapsulation cut"}},
	{"12.4.3", "signature of a group info, by a member", []string{"other signer", "signature", "signed by another", "blank signer", "signed by a blank"}},
	{"12.4.3.1", "welcome is for the key package", []string{"TestJoinValidation"}},
	{"12.4.3.1", "suites agree", []string{"context suite"}},
	{"12.4.3.1", "tree hash", []string{"tree hash", "wrong tree hash"}},
	{"12.4.3.1", "own leaf is in the tree", []string{"own leaf missing"}},
	{"12.4.3.1", "unmerged leaves are below, and known in between", []string{"unmerged leaf", "unmerged leaf of another subtree"}},
	{"12.4.3.1", "at most one PSK that links groups", []string{"two PSKs of a re-initialisation", "PSKs of a re-initialisation and of a branch"}},
	{"12.4.3.2", "external key", []string{"no external key", "external key is none", "encapsulation to another key"}},
	{"12.4.3.2", "no references but to self-removes", []string{"update by reference", "removal by reference"}},
	{"12.4.3.3", "shape of the ratchet tree", []string{"tree ends in a blank", "tree ends in a parent", "leaf in a parent's place"}},
	{"13.4", "an extension occurs once", []string{"extension twice", "leaf extension twice", "group info extension twice", "proposed key package with an extension twice"}},
	{"mls-extensions SelfRemove", "by reference alone", []string{"self-remove by value"}},
}

// TestEveryRuleIsBroken: the cases that the list names are there.
func TestEveryRuleIsBroken(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	var sources bytes.Buffer
	for _, f := range files {
		if f == "rules_test.go" {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(b)
	}
	for _, r := range rules {
		for _, c := range r.cases {
			quoted := `"` + c + `"`
			if strings.HasPrefix(c, "Test") {
				quoted = "func " + c + "("
			}
			if !bytes.Contains(sources.Bytes(), []byte(quoted)) {
				t.Errorf("§%s, %s: there is no case %q", r.section, r.rule, c)
			}
		}
	}
}
