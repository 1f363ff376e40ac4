package opaque

import (
	"errors"
	"testing"
)

// known tells whether an error is one that a decoder may return.
func known(err error) bool {
	var l *LengthError
	return errors.As(err, &l) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrAuthentication)
}

func FuzzRegistrationRequest(f *testing.F) {
	s := testServer(f)
	_, request, err := testConfig.StartRegistration(testPassword)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(request)
	f.Add(make([]byte, RequestSize))
	f.Fuzz(func(t *testing.T, raw []byte) {
		response, err := s.RegistrationResponse(raw, []byte("id"))
		if err != nil && !known(err) || err == nil && len(response) != ResponseSize {
			t.Errorf("%d bytes, %v", len(response), err)
		}
	})
}

func FuzzRegistrationResponse(f *testing.F) {
	s := testServer(f)
	_, request, err := testConfig.StartRegistration(testPassword)
	if err != nil {
		f.Fatal(err)
	}
	response, err := s.RegistrationResponse(request, []byte("id"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(response)
	f.Add(make([]byte, ResponseSize))
	f.Fuzz(func(t *testing.T, raw []byte) {
		reg, _, err := testConfig.StartRegistration(testPassword)
		if err != nil {
			t.Fatal(err)
		}
		record, _, err := reg.Finish(raw, nil, nil)
		if err != nil && !known(err) {
			t.Error(err)
		}
		if err == nil && ValidateRecord(record) != nil {
			t.Error("made an invalid record")
		}
	})
}

func FuzzRecord(f *testing.F) {
	s := testServer(f)
	record, _ := register(f, s, testPassword, []byte("id"))
	_, ke1 := startLogin(f, testPassword)
	f.Add(record)
	f.Add(make([]byte, RecordSize))
	f.Fuzz(func(t *testing.T, raw []byte) {
		valid := ValidateRecord(raw)
		_, _, err := s.StartLogin(ke1, []byte("id"), append([]byte{}, raw...), nil, nil)
		if (valid == nil) != (err == nil) || err != nil && !known(err) {
			t.Errorf("validated: %v, used: %v", valid, err)
		}
	})
}

func FuzzKE1(f *testing.F) {
	s := testServer(f)
	_, ke1 := startLogin(f, testPassword)
	f.Add(ke1)
	f.Add(make([]byte, KE1Size))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, ke2, err := s.StartLogin(raw, []byte("id"), nil, nil, nil)
		if err != nil && !known(err) || err == nil && len(ke2) != KE2Size {
			t.Errorf("%d bytes, %v", len(ke2), err)
		}
	})
}

func FuzzKE2(f *testing.F) {
	s := testServer(f)
	record, _ := register(f, s, testPassword, []byte("id"))
	_, ke1 := startLogin(f, testPassword)
	_, ke2, err := s.StartLogin(ke1, []byte("id"), record, nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ke2)
	f.Add(make([]byte, KE2Size))
	f.Fuzz(func(t *testing.T, raw []byte) {
		client, _ := startLogin(t, testPassword)
		_, _, _, err := client.Finish(raw, nil, nil)
		if err == nil || !known(err) {
			t.Errorf("a KE2 out of the blue: %v", err)
		}
	})
}

func FuzzKE3(f *testing.F) {
	s := testServer(f)
	record, _ := register(f, s, testPassword, []byte("id"))
	_, ke1 := startLogin(f, testPassword)
	f.Add(make([]byte, KE3Size))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		server, _, err := s.StartLogin(ke1, []byte("id"), record, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := server.Finish(raw); err == nil || !known(err) {
			t.Errorf("a KE3 out of the blue: %v", err)
		}
	})
}

func FuzzServerKeys(f *testing.F) {
	keys, err := GenerateServerKeys()
	if err != nil {
		f.Fatal(err)
	}
	raw, _ := keys.MarshalBinary()
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var keys ServerKeys
		if keys.UnmarshalBinary(raw) != nil {
			return
		}
		if _, err := NewServer(testConfig, keys); err != nil {
			t.Error(err)
		}
	})
}
