package vault

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// opens tells which of the passwords open the vault.
func opens(t *testing.T, dir string, passwords ...string) (which []string) {
	t.Helper()
	for _, p := range passwords {
		v, err := Open(dir, p, cheap)
		if errors.Is(err, ErrWrongPassword) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		which = append(which, p)
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return which
}

func wantOpens(t *testing.T, dir string, want ...string) {
	t.Helper()
	got := opens(t, dir, testPassword, "next", "later", "wrong")
	if len(got) != len(want) {
		t.Fatalf("%q open the vault, want %q", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%q open the vault, want %q", got, want)
		}
	}
}

func TestStagedPassword(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(v *Vault) error
		want []string
	}{
		"left":     {func(*Vault) error { return nil }, []string{testPassword, "next"}},
		"adopted":  {(*Vault).AdoptStaged, []string{"next"}},
		"dropped":  {(*Vault).DropStaged, []string{testPassword}},
		"replaced": {func(v *Vault) error { return v.StagePassword("later") }, []string{testPassword, "later"}},
		"changed":  {func(v *Vault) error { return v.ChangePassword("next", "later") }, []string{"later"}},
		"again":    {func(v *Vault) error { return errors.Join(v.AdoptStaged(), v.AdoptStaged(), v.DropStaged()) }, []string{"next"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			v, err := Create(dir, testPassword, cheap)
			if err != nil {
				t.Fatal(err)
			}
			if v.Staged() {
				t.Error("a new vault has two passwords")
			}
			if err := v.StagePassword("next"); err != nil {
				t.Fatal(err)
			}
			if err := tc.end(v); err != nil {
				t.Fatal(err)
			}
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
			wantOpens(t, dir, tc.want...)
			wantErr(t, v.StagePassword("x"), ErrClosed)
			wantErr(t, v.AdoptStaged(), ErrClosed)
			wantErr(t, v.DropStaged(), ErrClosed)
		})
	}
}

func TestStagedPasswordOpens(t *testing.T) {
	dir := t.TempDir()
	v, err := Create(dir, testPassword, cheap)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.StagePassword("next"), v.Close()); err != nil {
		t.Fatal(err)
	}
	for password, byStaged := range map[string]bool{testPassword: false, "next": true} {
		v, err := Open(dir, password, cheap)
		if err != nil {
			t.Fatal(err)
		}
		if is, err := v.IsStaged(password); !v.Staged() || is != byStaged || err != nil {
			t.Errorf("%s: staged %v, is it %v, %v", password, v.Staged(), is, err)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// A damaged one keeps nobody out who has the password of the other.
	path := filepath.Join(dir, stagedKeyName)
	if err := os.WriteFile(path, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantOpens(t, dir, testPassword)
	// One of another vault opens nothing.
	other := t.TempDir()
	w, err := Create(other, "later", cheap)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(filepath.Join(other, keyName))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := Open(dir, "later", cheap); err == nil {
		v.Close()
		t.Error("a key file of another vault opens this one")
	}
}
