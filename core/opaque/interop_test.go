package opaque

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// testdata/opaque-ke.json records two exchanges with another implementation,
// opaque-ke 4, at the cost of DefaultConfig. The RFC's vectors leave Argon2id
// out; these hold its parameters.

type recordedExchange map[string]hexBytes

func readExchanges(t *testing.T) (theirClient, theirServer recordedExchange) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "opaque-ke.json"))
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		TheirClient recordedExchange `json:"their_client"`
		TheirServer recordedExchange `json:"their_server"`
	}
	if err := json.Unmarshal(raw, &recorded); err != nil {
		t.Fatal(err)
	}
	return recorded.TheirClient, recorded.TheirServer
}

// Their client registered with our server and logs in: our side, played again,
// must accept its last message.
func TestInteropTheirClient(t *testing.T) {
	x, _ := readExchanges(t)
	s, err := NewServer(Config{}, ServerKeys{PrivateKey: [32]byte(x["server_private_key"]), OPRFSeed: [64]byte(x["oprf_seed"])})
	if err != nil {
		t.Fatal(err)
	}
	login, _, err := s.startLogin(x["KE1"], x["credential_identifier"], x["record"], nil, nil,
		x["masking_nonce"], x["server_nonce"], x["server_keyshare_seed"])
	if err != nil {
		t.Fatal(err)
	}
	key, err := login.Finish(x["KE3"])
	if err != nil || !bytes.Equal(key, x["session_key"]) {
		t.Errorf("session key %x, %v", key, err)
	}
}

// Our client registered with their server and logs in.
func TestInteropTheirServer(t *testing.T) {
	_, x := readExchanges(t)
	cfg := Config{KSF: DefaultConfig().KSF}
	reg, _, err := cfg.startRegistration(x["password"], testScalar(t, x["blind_registration"]))
	if err != nil {
		t.Fatal(err)
	}
	_, exportKey, err := reg.finish(x["registration_response"], nil, nil, x["envelope_nonce"])
	if err != nil {
		t.Fatal(err)
	}
	login, _, err := cfg.startLogin(x["password"], testScalar(t, x["blind_login"]), x["client_nonce"], x["client_keyshare_seed"])
	if err != nil {
		t.Fatal(err)
	}
	_, sessionKey, exportKeyAgain, err := login.Finish(x["KE2"], nil, nil)
	if err != nil || !bytes.Equal(sessionKey, x["session_key"]) || !bytes.Equal(exportKey, exportKeyAgain) {
		t.Errorf("session key %x, %v", sessionKey, err)
	}
}
