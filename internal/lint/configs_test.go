package lint

import "testing"

func TestConfigs(t *testing.T) {
	for _, c := range []struct {
		path, source string
		found        int
	}{
		{"live/config.go", "type Config struct{}\nfunc (c Config) Validate() error { return nil }", 0},
		{"live/config.go", "type Config struct{}", 1},
		{"live/config.go", "type LogConfig struct{}\nfunc (c *LogConfig) Validate() error { return nil }", 1},
		{"live/config.go", "type Config struct{}\nfunc (c Config) Validate() {}", 1},
		{"live/config.go", "type nodeConfig struct{}\ntype Configure func()", 0},
		{"bench/config.go", "type Config struct{}", 0},
		{"live/config_test.go", "type Config struct{}", 0},
	} {
		f, err := Parse(c.path, []byte("package p\n"+c.source+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if found := Configs([]*File{f}); len(found) != c.found {
			t.Errorf("%s %q: %v", c.path, c.source, found)
		}
	}
}
