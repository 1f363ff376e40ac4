package main

import (
	"bytes"
	"crypto"
	"fmt"
	"strings"

	"quicprochat/core/mls"
)

type none struct{}

type greeting struct {
	Protocol       int      `json:"protocol"`
	Implementation string   `json:"implementation"`
	Suites         []uint16 `json:"suites"`
	Features       []string `json:"features"`
}

// features are those parts of the protocol that an implementation may lack.
var features = []string{
	"add-with-path", "commit-extensions", "external-psk", "join-unmerged", "last-resort", "reject", "self-remove", "sender",
	"signature-private-key", "update-proposal",
}

func (s *session) hello(none) (greeting, error) {
	g := greeting{Protocol: 1, Implementation: "quicprochat core/mls", Features: features}
	for _, from := range []int{0x0000, 0xF000} {
		for id := from; id < from+0x100; id++ {
			if strings.HasPrefix(mls.Suite(id).String(), "MLS_") {
				g.Suites = append(g.Suites, uint16(id))
			}
		}
	}
	return g, nil
}

type clientParams struct {
	Client     string   `json:"client"`
	Suite      uint16   `json:"suite"`
	Identity   octets   `json:"identity"`
	PrivateKey octets   `json:"signature_private_key"`
	Extensions []uint16 `json:"extensions"`
	Handshakes string   `json:"handshakes"`
}

type clientResult struct {
	PrivateKey octets `json:"signature_private_key"`
}

var policies = map[string]mls.HandshakePolicy{
	"": mls.HandshakesPrivate, "private": mls.HandshakesPrivate, "mixed": mls.HandshakesMixed, "public": mls.HandshakesPublic,
}

func (s *session) client(p clientParams) (clientResult, error) {
	if p.Client == "" {
		return clientResult{}, badRequest("client is missing")
	}
	if _, taken := s.clients[p.Client]; taken {
		return clientResult{}, &protocolError{"handle-taken", fmt.Sprintf("there is a client %.40q already", p.Client)}
	}
	policy, ok := policies[p.Handshakes]
	if !ok {
		return clientResult{}, badRequest("handshakes are private, mixed or public, not %.40q", p.Handshakes)
	}
	suite := mls.Suite(p.Suite)
	signer, err := signerOf(suite, p.PrivateKey)
	if err != nil {
		return clientResult{}, err
	}
	private, err := mls.MarshalSigner(suite, signer)
	if err != nil {
		return clientResult{}, err
	}
	c := &client{suite: suite, identity: p.Identity, signer: signer, handshakes: policy, psks: map[string][]byte{}}
	c.capabilities.Extensions = p.Extensions
	if p.Identity == nil {
		c.identity = []byte(p.Client)
	}
	s.clients[p.Client] = c
	return clientResult{private}, nil
}

// signerOf takes the private key given, or makes one.
func signerOf(suite mls.Suite, private []byte) (crypto.Signer, error) {
	if private != nil {
		return mls.ParseSigner(suite, private)
	}
	return mls.GenerateSigner(suite)
}

type pskParams struct {
	Client string `json:"client"`
	ID     octets `json:"psk_id"`
	Secret octets `json:"secret"`
}

func (s *session) psk(p pskParams) (none, error) {
	c, err := s.clientOf(p.Client)
	if err != nil {
		return none{}, err
	}
	c.psks[string(p.ID)] = p.Secret
	return none{}, nil
}

// A KeyPackage is an MLSMessage on the wire: version 1.0, wire format 5.
const keyPackageHeader = "\x00\x01\x00\x05"

type keyPackageParams struct {
	Client     string `json:"client"`
	LastResort bool   `json:"last_resort"`
}

type keyPackageResult struct {
	KeyPackage octets `json:"key_package"`
	Ref        octets `json:"ref"`
}

func (s *session) keyPackage(p keyPackageParams) (keyPackageResult, error) {
	c, err := s.clientOf(p.Client)
	if err != nil {
		return keyPackageResult{}, err
	}
	b, err := mls.NewKeyPackage(mls.KeyPackageOptions{
		Suite: c.suite, Credential: mls.BasicCredential(c.identity), Signer: c.signer,
		LastResort: p.LastResort, ExtraCapabilities: c.capabilities,
	})
	if err != nil {
		return keyPackageResult{}, err
	}
	c.bundles = append(c.bundles, b)
	return keyPackageResult{append(octets(keyPackageHeader), b.KeyPackage()...), b.Ref()}, nil
}

// addProposal adds the client of an MLSMessage(KeyPackage).
func addProposal(message []byte) (mls.Proposal, error) {
	kp, err := bareKeyPackage(message)
	if err != nil {
		return mls.Proposal{}, err
	}
	return mls.AddProposal(kp), nil
}

func bareKeyPackage(message []byte) ([]byte, error) {
	kp, ok := bytes.CutPrefix(message, []byte(keyPackageHeader))
	if !ok {
		return nil, fmt.Errorf("%w: not an MLSMessage with a KeyPackage", mls.ErrMalformed)
	}
	return kp, nil
}
