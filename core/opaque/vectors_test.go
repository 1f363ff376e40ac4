package opaque

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/cloudflare/circl/group"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew from its inputs")

// hexBytes is a byte string, in hexadecimal in JSON.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// vector is one of RFC 9807 appendix C, in the form in which its authors
// publish it.
type vector struct {
	Config struct {
		Context hexBytes `json:"Context"`
		Fake    string   `json:"Fake"`
		Group   string   `json:"Group"`
		OPRF    string   `json:"OPRF"`
		KSF     string   `json:"KSF"`
	} `json:"config"`
	Inputs  map[string]hexBytes `json:"inputs"`
	Middle  map[string]hexBytes `json:"intermediates,omitempty"`
	Outputs map[string]hexBytes `json:"outputs"`
}

// ksf returns the vector's stretching function. Only tests leave it out.
func (v vector) ksf(t *testing.T) KSF {
	switch v.Config.KSF {
	case "Identity":
		return func(in []byte) []byte { return bytes.Clone(in) }
	case "Argon2id-1-64-1":
		return Argon2id(1, 64, 1)
	case "Argon2id-3-65536-4":
		return DefaultConfig().KSF
	}
	t.Fatalf("unknown KSF %q", v.Config.KSF)
	return nil
}

func readVectors(t *testing.T, path string) []vector {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

func TestRFC9807Vectors(t *testing.T) {
	root := os.Getenv("QPC_VECTORS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	path := filepath.Join(root, "opaque", "rfc9807.json")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the vectors of RFC 9807 are not there (%v): point QPC_VECTORS at the folder that holds opaque/rfc9807.json", err)
	}
	ran, skipped := map[string]int{}, 0
	for _, v := range readVectors(t, path) {
		if v.Config.Group != "ristretto255" || v.Config.OPRF != "ristretto255-SHA512" {
			skipped++
			continue
		}
		if v.Config.Fake == "True" {
			checkFakeVector(t, v)
		} else {
			checkVectorOf(t, v)
		}
		ran[v.Config.Fake]++
	}
	t.Logf("%d real and %d fake vectors of ristretto255; %d of P-256 and curve25519 skipped", ran["False"], ran["True"], skipped)
	if ran["False"] != 2 || ran["True"] != 1 {
		t.Errorf("ran %v, want two real and one fake", ran)
	}
}

func TestOwnVectors(t *testing.T) {
	path := filepath.Join("testdata", "vectors.json")
	vectors := readVectors(t, path)
	if len(vectors) < 4 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for i, v := range vectors {
		if *update {
			vectors[i].Outputs = nil
		}
		if v.Config.Fake == "True" {
			checkFakeVector(t, vectors[i])
		} else {
			checkVectorOf(t, vectors[i])
		}
	}
	if *update {
		writeVectors(t, path, vectors)
	}
}

func writeVectors(t *testing.T, path string, vectors []vector) {
	t.Helper()
	for i, v := range vectors {
		vectors[i].Outputs = run(t, v)
	}
	raw, err := json.MarshalIndent(vectors, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func testScalar(t *testing.T, b []byte) group.Scalar {
	t.Helper()
	s := group.Ristretto255.NewScalar()
	if err := s.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	return s
}

func (v vector) server(t *testing.T) *Server {
	t.Helper()
	var keys ServerKeys
	copy(keys.PrivateKey[:], v.Inputs["server_private_key"])
	copy(keys.OPRFSeed[:], v.Inputs["oprf_seed"])
	s, err := NewServer(Config{Context: v.Config.Context}, keys)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.PublicKey(), v.Inputs["server_public_key"]) {
		t.Fatalf("server public key %x, want %x", s.PublicKey(), v.Inputs["server_public_key"])
	}
	return s
}

// run plays a vector through and returns every output.
func run(t *testing.T, v vector) map[string]hexBytes {
	t.Helper()
	in := v.Inputs
	s := v.server(t)
	if v.Config.Fake == "True" {
		if in["masking_key"] != nil {
			s.fake = bytes.Join([][]byte{in["client_public_key"], in["masking_key"], make([]byte, envelopeSize)}, nil)
		}
		_, ke2, err := s.startLogin(in["KE1"], in["credential_identifier"], nil, in["client_identity"], in["server_identity"],
			in["masking_nonce"], in["server_nonce"], in["server_keyshare_seed"])
		if err != nil {
			t.Fatal(err)
		}
		return map[string]hexBytes{"KE2": ke2}
	}
	cfg := Config{Context: v.Config.Context, KSF: v.ksf(t)}
	reg, request, err := cfg.startRegistration(in["password"], testScalar(t, in["blind_registration"]))
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.RegistrationResponse(request, in["credential_identifier"])
	if err != nil {
		t.Fatal(err)
	}
	record, exportKey, err := reg.finish(response, in["client_identity"], in["server_identity"], in["envelope_nonce"])
	if err != nil {
		t.Fatal(err)
	}
	if err := ValidateRecord(record); err != nil {
		t.Fatal(err)
	}
	login, ke1, err := cfg.startLogin(in["password"], testScalar(t, in["blind_login"]), in["client_nonce"], in["client_keyshare_seed"])
	if err != nil {
		t.Fatal(err)
	}
	serverLogin, ke2, err := s.startLogin(ke1, in["credential_identifier"], record, in["client_identity"], in["server_identity"],
		in["masking_nonce"], in["server_nonce"], in["server_keyshare_seed"])
	if err != nil {
		t.Fatal(err)
	}
	ke3, sessionKey, exportKeyAgain, err := login.Finish(ke2, in["client_identity"], in["server_identity"])
	if err != nil {
		t.Fatal(err)
	}
	serverSessionKey, err := serverLogin.Finish(ke3)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sessionKey, serverSessionKey) || !bytes.Equal(exportKey, exportKeyAgain) {
		t.Fatal("the two sides have different keys")
	}
	return map[string]hexBytes{
		"registration_request": request, "registration_response": response, "registration_upload": record,
		"KE1": ke1, "KE2": ke2, "KE3": ke3, "session_key": sessionKey, "export_key": exportKey,
	}
}

func checkFakeVector(t *testing.T, v vector) {
	t.Helper()
	compare(t, "output", run(t, v), v.Outputs, 1)
}

func checkVectorOf(t *testing.T, v vector) {
	t.Helper()
	compare(t, "output", run(t, v), v.Outputs, 8)
	if len(v.Middle) != 0 {
		compare(t, "intermediate", intermediates(t, v), v.Middle, 8)
	}
}

// intermediates recomputes what the RFC lists besides the messages, so that a
// failure says where.
func intermediates(t *testing.T, v vector) map[string]hexBytes {
	t.Helper()
	in, out := v.Inputs, map[string]hexBytes{}
	blinded, err := blindPassword(in["password"], testScalar(t, in["blind_registration"]))
	if err != nil {
		t.Fatal(err)
	}
	response, err := v.server(t).RegistrationResponse(blinded.message, in["credential_identifier"])
	if err != nil {
		t.Fatal(err)
	}
	m, err := decodeRegistrationResponse(response)
	if err != nil {
		t.Fatal(err)
	}
	randomized, err := blinded.randomize(v.ksf(t), m.evaluated)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := derivePasswordKeys(randomized, in["envelope_nonce"])
	if err != nil {
		t.Fatal(err)
	}
	ids, err := newIdentities(in["client_identity"], in["server_identity"], keys.client.public, in["server_public_key"])
	if err != nil {
		t.Fatal(err)
	}
	out["randomized_password"] = randomized
	out["auth_key"] = keys.authKey
	out["client_public_key"] = keys.client.public
	out["masking_key"] = maskingKey(randomized)
	out["envelope"] = append(bytes.Clone(in["envelope_nonce"]), keys.authTag(in["envelope_nonce"], in["server_public_key"], ids)...)
	return out
}

// compare checks got against want; at least n names must be in both.
func compare(t *testing.T, what string, got, want map[string]hexBytes, n int) {
	t.Helper()
	if want == nil && *update {
		return
	}
	compared := 0
	for name, value := range want {
		if computed, ok := got[name]; ok {
			compared++
			if !bytes.Equal(computed, value) {
				t.Errorf("%s %s is\n%x, want\n%x", what, name, computed, value)
			}
		}
	}
	if compared < min(n, len(got)) {
		t.Errorf("compared %d of the %s, want %d", compared, what, n)
	}
}
