package controller

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Preferences is what the app remembers outside the vault: nothing about people.
type Preferences struct {
	// Theme is "light", "dark" or "system".
	Theme string `json:"theme,omitempty"`
	// Width and Height are the window's, zero for the default.
	Width  float32 `json:"width,omitempty"`
	Height float32 `json:"height,omitempty"`
	// Hosting says that the server inside this app starts with it.
	Hosting bool `json:"hosting,omitempty"`

	path string
}

const preferencesFile = "desktop.json"

// LoadPreferences reads a profile directory's preferences. A missing or broken
// file gives the defaults: they are not worth failing for.
func LoadPreferences(dir string) *Preferences {
	p := &Preferences{}
	b, err := os.ReadFile(filepath.Join(dir, preferencesFile))
	if err != nil || json.Unmarshal(b, p) != nil {
		p = &Preferences{}
	}
	p.path = filepath.Join(dir, preferencesFile)
	return p
}

// Save writes the preferences; whoever reads sees the old or the new ones.
func (p *Preferences) Save() error {
	if p.path == "" {
		return nil
	}
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("encode preferences: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("preferences directory: %w", err)
	}
	tmp := p.path + ".new"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write preferences: %w", err)
	}
	if err := os.Rename(tmp, p.path); err != nil {
		return fmt.Errorf("replace preferences: %w", err)
	}
	return nil
}
