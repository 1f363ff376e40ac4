package config

import "testing"

// FuzzDecode: whatever stands in the file, there is a Config or an error.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("data_dir = \"/d\"\n[rates.post]\nburst = 5\n"))
	f.Add([]byte("[log]\nlevel = \"WARN\"\nlisen = 1\n"))
	f.Add([]byte("limits = 3\nnames = [\"a\", 1]\n[[rates]]\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		c := Default()
		if c.decode(text) == nil {
			_ = c.Validate()
			_, _ = c.LinkHost(), c.LinkPort()
		}
	})
}
