package mls

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestPrintsNoSecrets prints what holds secrets in every way that logging does, and
// looks for the secrets in it.
func TestPrintsNoSecrets(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 2)
	alice := peers[0]
	seed := alice.signer.(ed25519.PrivateKey).Seed()
	alice.g.TakeChanges()
	alice.seal("x")
	s, err := alice.g.Commit(CommitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := NewKeyPackage(KeyPackageOptions{Suite: SuiteX25519, Credential: alice.credential, Signer: alice.signer})
	if err != nil {
		t.Fatal(err)
	}
	logged := alice.g.log[recordPending]
	change := Change{Key: []byte("epoch"), Value: []byte("a secret value of an epoch")}
	values := []any{
		alice.g, *alice.g, s, *s, bundle, *bundle, change, &change,
		[]Change{change},
		map[string]*Group{"g": alice.g},
		KeyPackageOptions{Signer: alice.signer},
		CreateParams{Signer: alice.signer},
		ExternalJoinOptions{Signer: alice.signer},
		SuccessorOptions{Signer: alice.signer},
		ExternalProposalParams{Signer: alice.signer},
		Group{},
		KeyPackageBundle{},
		StagedCommit{},
	}
	secrets := [][]byte{seed, logged, bundle.initPrivate, bundle.encryptPrivate, change.Value, s.next.secrets.init, s.Message}
	for _, v := range values {
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		for _, secret := range secrets {
			part := secret[:16]
			numbers := strings.Trim(fmt.Sprint(part), "[]")
			for _, form := range []string{string(part), fmt.Sprintf("%x", part), fmt.Sprintf("%X", part), numbers, strings.Trim(fmt.Sprintf("%#v", part), "[]byte{}")} {
				if strings.Contains(out.String(), form) {
					t.Errorf("%T prints a secret: %.200s", v, out.String())
				}
			}
		}
		if strings.Contains(out.String(), "PANIC") {
			t.Errorf("%T: %s", v, out.String())
		}
	}
}
