//go:build !linux

package server

import "testing"

func smallDisk(t *testing.T, _ int) string {
	t.Skip("NOT TESTED: making a small disk is known for Linux only")
	return ""
}

func readOnly(t *testing.T, _ string) { t.Helper() }
