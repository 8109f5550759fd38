//! Elementary functions against mpmath at 60 digits, rounded once: the bits must be these.
//!
//! Written by mpmath: random arguments (seed 5) and the correctly rounded results, as bit patterns.

use goldref::num::Float;

fn assert_bits_f64(name: &str, function: fn(f64) -> f64, table: &[(u64, u64)]) {
    for &(x, expected) in table {
        let (x, expected) = (f64::from_bits(x), f64::from_bits(expected));
        assert_eq!(
            function(x).to_bits(),
            expected.to_bits(),
            "{name}({x:e}) is {:e}, mpmath says {expected:e}",
            function(x)
        );
    }
}

fn assert_bits_f32(name: &str, function: fn(f32) -> f32, table: &[(u32, u32)]) {
    for &(x, expected) in table {
        let (x, expected) = (f32::from_bits(x), f32::from_bits(expected));
        assert_eq!(
            function(x).to_bits(),
            expected.to_bits(),
            "{name}({x:e}) is {:e}, mpmath says {expected:e}",
            function(x)
        );
    }
}

#[test]
fn elementary_functions_are_correctly_rounded() {
    assert_bits_f64(
        "exp",
        Float::exp,
        &[
            (0x406581fef5567df4, 0x4f72cfb5197662f1),
            (0x407528074fabe640, 0x5e74762ae6cc8871),
            (0x4079d455fb7d404c, 0x6532b007689e8ef3),
            (0x40835b7174221d86, 0x77c917950a637783),
            (0x4074fdba6311b050, 0x5e3746450fefe458),
            (0x40827a0a3afe0e48, 0x754001d84b73a5d5),
            (0xc0849b24359f833d, 0x0479f2388bc65396),
            (0xc048106b9b1a8740, 0x3b97adf04a9e7a2b),
            (0x408365986104ac78, 0x77e650add09638da),
            (0x406a120f5ae260cc, 0x52bdbfd8a4ccf8d9),
            (0x40818a15e3d39784, 0x728a806e0dad326f),
            (0xc080ec17dbaf7d44, 0x0f1b2af87a12c5a0),
        ],
    );
    assert_bits_f32(
        "exp",
        Float::exp,
        &[
            (0xc09e5dd1, 0x3be85a3c),
            (0xc2223182, 0x2235284d),
            (0x40e00e3c, 0x4489514a),
            (0x413d4a19, 0x48062be4),
            (0xc29bcdb0, 0x0743926a),
            (0xc2354afd, 0x1ec3afb9),
            (0xc20d219c, 0x2608f6ab),
            (0x42853b03, 0x6f89b60c),
            (0x422a1075, 0x5e21c2f7),
            (0xc259da72, 0x182bf8d9),
            (0x423e2c90, 0x61c0c735),
            (0xc2673059, 0x15c4356e),
        ],
    );
    assert_bits_f64(
        "ln",
        Float::ln,
        &[
            (0x406041ef7dbf1869, 0x401378d4e3c20589),
            (0x3e899bf4c05b63c6, 0xc02ef1ace0da4e52),
            (0x3e127dc5a287ee44, 0xc034a652ff947450),
            (0x41527b5aa376f824, 0x402ec970c5eed5b3),
            (0x3ed8b5ca2e9ed3f8, 0xc0281584553e9a6b),
            (0x3edfb81763dcebbd, 0xc02795aaccffff4e),
            (0x41bcc3c44edf4845, 0x4033fea376dba841),
            (0x41534430b4e0f558, 0x402edeb9a9b619bd),
            (0x3f252291926f2a3e, 0xc02177136b8acbba),
            (0x41a8265a9d0cc3b6, 0x4033206ced2c41d8),
            (0x401453d251eb4196, 0x3ffa02c59e545fb7),
            (0x4098d16f533b89cb, 0x401d7b58f368f1ee),
        ],
    );
    assert_bits_f32(
        "ln",
        Float::ln,
        &[
            (0x399649b6, 0xc1028412),
            (0x483f2aa7, 0x4142f431),
            (0x4341f4bf, 0x40a89070),
            (0x48c1d6db, 0x414e4431),
            (0x474f543d, 0x412e125e),
            (0x3b7c512e, 0xc0b1e8cd),
            (0x3cb0e048, 0xc075783d),
            (0x38cda33c, 0xc113adfb),
            (0x386b0212, 0xc11ca247),
            (0x36caf7ad, 0xc1404009),
            (0x3b87719d, 0xc0afa307),
            (0x418a2b36, 0x40365695),
        ],
    );
    assert_bits_f64(
        "tanh",
        Float::tanh,
        &[
            (0xc017d66da06c938b, 0xbfefffe40cbc5cc0),
            (0x400114e9807dfb28, 0x3fef1e2cdace8770),
            (0xbfff1fb1866a5bb0, 0xbfeeb7e347bcaf3d),
            (0xc0023e794fbc5c55, 0xbfef5688a5b3a7b1),
            (0x400e93e673ac3ab8, 0x3feff829245a1874),
            (0xbfcd934cfa4992e0, 0xbfcd0f610c4c3102),
            (0xc001af1191c8606a, 0xbfef3d5c894b0379),
            (0xbfccd93b2545cbc0, 0xbfcc5eac98b8d4f5),
            (0x4003a5f2da1d0a78, 0x3fef88568899c941),
            (0xc015439294768136, 0xbfefff9ac93d83e5),
            (0x4016ce05ffa25276, 0x3fefffd127c38b15),
            (0xc016e707284dff54, 0xbfefffd36359e508),
        ],
    );
    assert_bits_f32(
        "tanh",
        Float::tanh,
        &[
            (0x403fd7b3, 0x3f7eba50),
            (0x40846f2c, 0x3f7fdeaf),
            (0xc0b90fe4, 0xbf7ffec2),
            (0x405cfba7, 0x3f7f7ccb),
            (0xbfcd8a68, 0xbf6c2b40),
            (0x3f7135b8, 0x3f3c7a71),
            (0xc0bc838f, 0xbf7fff00),
            (0xc0ae0e8a, 0xbf7ffd87),
            (0xc0750dc8, 0xbf7fc220),
            (0x40aeca01, 0x3f7ffda4),
            (0xc0691244, 0xbf7fa60b),
            (0x404467d3, 0x3f7ee581),
        ],
    );
    assert_bits_f64(
        "erfc",
        Float::erfc,
        &[
            (0x4037d1be9f2cefed, 0x0c70d10778ff4c71),
            (0x4038340f510a81f9, 0x0ac5ba2069004c3d),
            (0x4016b40e67f1958c, 0x3cd204399bd3eb88),
            (0x4017fe8e35564710, 0x3c793d6751e2201d),
            (0x402688113a71c60a, 0x3437c85bb5b04bfb),
            (0x40330b2f7e8b259f, 0x1eea2c2d82b56651),
            (0xbffa67e0ff6f46a6, 0x3fffafba5d411505),
            (0x403233497746bd3f, 0x21c107c95357f96b),
            (0x4033b6ca794c5bdc, 0x1c921a4293952b30),
            (0x4035a688bbe57f35, 0x1556510090b4871b),
            (0xc00eea559193e5a7, 0x3ffffffff39504f3),
            (0x403851dec9ea83c7, 0x0a4376c823a8865a),
        ],
    );
    assert_bits_f32(
        "erfc",
        Float::erfc,
        &[
            (0xbff3f29e, 0x3fff1989),
            (0x3f8b60a1, 0x3dfd17b5),
            (0x408a8eca, 0x307bb6a2),
            (0x410045d2, 0x0f2ce658),
            (0x3f8a2d86, 0x3e01e391),
            (0x41017229, 0x0e526396),
            (0x4062abae, 0x35130db2),
            (0x3f3fd8f8, 0x3e94159f),
            (0x3f4d35a5, 0x3e838ebd),
            (0xbf5ec9cc, 0x3fe40ad8),
            (0xc003f1ff, 0x3fff8bad),
            (0xbf9b56b4, 0x3ff4fa3d),
        ],
    );
    assert_bits_f64(
        "sin",
        Float::sin,
        &[
            (0x411717b4b2e3f790, 0x3fe8d4b0b87681cd),
            (0x412e515b4215e8e2, 0x3fd5fb42b93d7ab2),
            (0xc124a89a246ddf97, 0x3fbc5737538d6a3c),
            (0xc12b8ddf5886c0e4, 0xbfedcb50a8623065),
            (0x412db4ac6f65249a, 0x3fe8635c0ce947a7),
            (0x40f05f57b93a5b40, 0x3febb150e1575b32),
            (0xc106f9ffa90b5b08, 0x3fefa8bca8b163f6),
            (0xc120081d95a738c2, 0xbfe931cba004825c),
            (0x4106f08387f5b1c8, 0x3fca3a896b9283d6),
            (0x4123ea5e0c14f06e, 0x3fe0ac240b169790),
            (0xc0f5a5dcc096a640, 0xbfefe28a60db433d),
            (0xc1031a2b7d4a45f8, 0xbfdaffaf4308a486),
        ],
    );
    assert_bits_f32(
        "sin",
        Float::sin,
        &[
            (0xc60ad76c, 0xbf7d84b5),
            (0x4602058c, 0x3f23643d),
            (0xc612064d, 0xbf1d8dbc),
            (0xc300b74e, 0xbdb6925e),
            (0x45d384af, 0x3f7fed01),
            (0xc5e6e482, 0x3ee46c1d),
            (0x4590ca4f, 0x3f081c90),
            (0x460c8fe3, 0xbf7ff164),
            (0x4522ffc6, 0x3ee51b26),
            (0x45b40187, 0xbf7f2a40),
            (0xc5f5db1a, 0xbf3e9367),
            (0xc4a39cae, 0xbf697273),
        ],
    );
    assert_bits_f64(
        "cos",
        Float::cos,
        &[
            (0xc125688a9f30d6b2, 0xbfdd3fde05339d5b),
            (0x41250a77968892e8, 0x3fd0e15cd1be2d2a),
            (0xc1190c18971e2d98, 0x3fec97f3581b8ae5),
            (0xc0f6dfa2c49bb2b0, 0xbf9ab62205a7c6d8),
            (0x412e798fcad2b8fe, 0x3fe8b3c9db6879e8),
            (0x41257ff2aefec4f4, 0xbfeff6b5e6617b73),
            (0x412d0d9e476ba92c, 0x3feb945143e124af),
            (0xc0f6af805543f2a8, 0xbfdb05ae2904f612),
            (0xc0d720802f578f80, 0x3fe8eee7744b405d),
            (0x411c0408287b8640, 0xbfca91fd39ef67a8),
            (0xc0e4776330d263c0, 0x3feffc711ea3696e),
            (0xc119828b10153f2e, 0xbfed35cd1baafc30),
        ],
    );
    assert_bits_f32(
        "cos",
        Float::cos,
        &[
            (0xc4f086c6, 0x3c629710),
            (0xc5dceefb, 0x3e8e55a0),
            (0xc519bfc3, 0xbf7e37cf),
            (0x46189f04, 0xbf5b4396),
            (0x460fb145, 0xbf23f5de),
            (0x451eb4ca, 0x3f20a423),
            (0xc158d0d7, 0x3f0d9d6c),
            (0xc549e6cc, 0x3f258d9c),
            (0xc6006502, 0x3ecf12e8),
            (0xc58e4e61, 0x3d70c135),
            (0x45b04309, 0xbeafaac5),
            (0x45e59de4, 0xbf66a358),
        ],
    );
    assert_bits_f64(
        "rsqrt",
        Float::rsqrt,
        &[
            (0x3f6a232bace1ac89, 0x4031b4254ff8bcd9),
            (0x41012e03305afa7d, 0x3f65d6310bd00125),
            (0x40f5aad7290118b5, 0x3f6b7f95daa02a59),
            (0x40a8dc9afe37d887, 0x3f9226f66cc1ae6c),
            (0x408c0065688f54a4, 0x3fa11aafec46207b),
            (0x40e705f60df73e56, 0x3f72dcef260796f7),
            (0x3f6c855310ccef3e, 0x4030f2a510d6d3e7),
            (0x40b2b749e2718d91, 0x3f8d965260731ac9),
            (0x3f1dc6d76f143257, 0x405774fa8c72273c),
            (0x3fe1ae1923b8371f, 0x3ff58686423f42bb),
            (0x40f1809544800ad2, 0x3f6e988a5fcbb5a6),
            (0x40a5509d1c436c8f, 0x3f939ab959997f55),
        ],
    );
    assert_bits_f32(
        "rsqrt",
        Float::rsqrt,
        &[
            (0x3b5c248e, 0x418a0806),
            (0x4858e7d3, 0x3b0b0ebc),
            (0x427a3ec6, 0x3e0176a3),
            (0x41149c53, 0x3ea7ff93),
            (0x35b8d50f, 0x4455099a),
            (0x406a7606, 0x3f05c011),
            (0x3a859a76, 0x41fa92fb),
            (0x42e57aea, 0x3dbf3174),
            (0x3eb7e1a4, 0x3fd5966d),
            (0x45c53eb9, 0x3c4e39ad),
            (0x426b20a0, 0x3e058f82),
            (0x456904df, 0x3c8629d9),
        ],
    );
}
