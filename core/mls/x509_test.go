package mls

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"
)

// authority issues certificates, and as authentication service judges leaves
// that carry them.
type authority struct {
	t    *testing.T
	key  crypto.Signer
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key}
	template := certificateOf("authority")
	template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	der := a.sign(template, template, key.Public())
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func certificateOf(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

func (a *authority) sign(template, parent *x509.Certificate, public crypto.PublicKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func (a *authority) issue(name string, public crypto.PublicKey) Credential {
	return X509Credential([][]byte{a.sign(certificateOf(name), a.cert, public), a.cert.Raw})
}

var errCertificate = errors.New("certificate is not good")

// ValidateLeaf checks the chain, that the leaf's key is the certificate's, and
// that a successor is of the same subject.
func (*authority) ValidateExternalSender([]byte, ExternalSender) error { return nil }

func (a *authority) ValidateLeaf(ctx LeafContext, leaf *LeafNode) error {
	if leaf.Credential.Type == CredentialBasic {
		return nil
	}
	cert, err := a.verify(ctx.Now, leaf.Credential.Certificates)
	if err != nil {
		return errors.Join(errCertificate, err)
	}
	var public []byte
	switch key := cert.PublicKey.(type) {
	case ed25519.PublicKey:
		public = key
	case *ecdsa.PublicKey:
		if public, err = key.Bytes(); err != nil {
			return err
		}
	}
	if !bytes.Equal(public, leaf.SignatureKey) {
		return errCertificate
	}
	if ctx.Previous != nil && ctx.Previous.Credential.Type == CredentialX509 {
		old, err := x509.ParseCertificate(ctx.Previous.Credential.Certificates[0])
		if err != nil || old.Subject.CommonName != cert.Subject.CommonName {
			return errCertificate
		}
	}
	return nil
}

func (a *authority) verify(now time.Time, chain [][]byte) (*x509.Certificate, error) {
	if len(chain) == 0 {
		return nil, errors.New("no certificate")
	}
	cert, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return cert, err
}

// peer makes a client with a certificate, or with a basic credential.
func (a *authority) peer(suite Suite, name string, certified bool) *peer {
	p := newPeer(a.t, suite, name)
	p.cfg.Auth = a
	p.capabilities = Capabilities{Extensions: []uint16{extTest}, Credentials: []uint16{uint16(CredentialX509)}}
	if certified {
		p.credential = a.issue(name, p.signer.Public())
	}
	return p
}

// A group of members with certificates and members without: the package carries the
// certificates, and the authentication service alone judges them.
func TestX509(t *testing.T) {
	for _, suite := range []Suite{SuiteX25519, SuiteP256, SuiteMLKEM1024P384} {
		t.Run(suite.String(), func(t *testing.T) {
			a := newAuthority(t)
			alice, bob, carol := a.peer(suite, "alice", true), a.peer(suite, "bob", false), a.peer(suite, "carol", true)
			alice.create()
			s := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(bob.keyPackage()), AddProposal(carol.keyPackage())}})
			alice.merge()
			bob.join(s.Welcome)
			carol.join(s.Welcome)
			m, err := carol.g.ProposeUpdate(nil)
			if err != nil {
				t.Fatal(err)
			}
			carol.save()
			alice.process(m)
			bob.process(m)
			s = bob.commit(CommitOptions{})
			bob.merge()
			alice.process(s.Message)
			carol.process(s.Message)
			carol.restore()
			s = carol.commit(CommitOptions{})
			carol.merge()
			alice.process(s.Message)
			bob.process(s.Message)
			agree(t, alice, bob, carol)
			got, _ := bob.g.Member(2)
			cert, err := x509.ParseCertificate(got.Credential.Certificates[0])
			if err != nil || cert.Subject.CommonName != "carol" || len(got.Credential.Certificates) != 2 {
				t.Errorf("carol's credential is %v, %v", got.Credential, err)
			}
		})
	}
}

func TestX509Refused(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	for name, bad := range map[string]func(*peer){
		"another's certificate": func(p *peer) {
			p.credential = a.issue("mallory", newPeer(t, p.suite, "other").signer.Public())
		},
		"an unknown authority":     func(p *peer) { p.credential = stranger.issue("mallory", p.signer.Public()) },
		"no certificate":           func(p *peer) { p.credential = X509Credential(nil) },
		"rubbish":                  func(p *peer) { p.credential = X509Credential([][]byte{{1, 2, 3}}) },
		"a certificate out of use": func(p *peer) { p.credential = a.expired(p) },
	} {
		t.Run(name, func(t *testing.T) {
			alice, bob, mallory := a.peer(SuiteX25519, "alice", true), a.peer(SuiteX25519, "bob", true), a.peer(SuiteX25519, "mallory", true)
			alice.create()
			s := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(bob.keyPackage())}})
			alice.merge()
			bob.join(s.Welcome)
			bad(mallory)
			add := AddProposal(mallory.keyPackage())
			_, err := bob.g.Commit(CommitOptions{Proposals: []Proposal{add}})
			expect(t, err, "5.3.1")
			if !errors.Is(err, errCertificate) {
				t.Errorf("the service's word is lost: %v", err)
			}
			bob.refusesFor(alice.forge(func(f *forgery) { f.byValue(&add) }), "5.3.1")

			// One who has let mallory in cannot make others join.
			alice.cfg.Auth = anyone{}
			alice.restore()
			carol := a.peer(SuiteX25519, "carol", true)
			s = alice.commit(CommitOptions{Proposals: []Proposal{add, AddProposal(carol.keyPackage())}})
			_, err = Join(carol.cfg, carol.signer, carol.bundle, s.Welcome, nil)
			expect(t, err, "5.3.1")
		})
	}
}

func (a *authority) expired(p *peer) Credential {
	template := certificateOf(p.name)
	template.NotBefore, template.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	return X509Credential([][]byte{a.sign(template, a.cert, p.signer.Public())})
}

// A certificate gets in only where every member lists the type (§7.3).
func TestX509NeedsCapability(t *testing.T) {
	a := newAuthority(t)
	alice, bob := newPeer(t, SuiteX25519, "alice"), a.peer(SuiteX25519, "bob", true)
	alice.create()
	_, err := alice.g.Commit(CommitOptions{Proposals: []Proposal{AddProposal(bob.keyPackage())}})
	expect(t, err, "7.3")

	// And one who does not list it cannot come where one is in use.
	bob.create()
	_, err = bob.g.Commit(CommitOptions{Proposals: []Proposal{AddProposal(alice.keyPackage())}})
	expect(t, err, "7.3")
}
