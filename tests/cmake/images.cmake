# The two images that boot. Both take the paging engine from one list, NOPTE_TRANSLATION.
set(NOPTE_FREESTANDING_FLAGS
  -ffreestanding -fno-exceptions -fno-rtti -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie
  -fno-stack-protector -fno-asynchronous-unwind-tables -fno-threadsafe-statics -fno-omit-frame-pointer
  -fcf-protection=none -mcmodel=kernel -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/= -ffunction-sections -fdata-sections)
file(GLOB NOPTE_ARCH_PVOPS CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/pvops/arch/x86_64/*.cc ${CMAKE_SOURCE_DIR}/pvops/arch/x86_64/*.S
  ${CMAKE_SOURCE_DIR}/pvops/freestanding/*.cc)
# These define what the headers only declare.
file(GLOB freestanding CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/pvops/freestanding/*.cc)
set_source_files_properties(${freestanding} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
file(GLOB NOPTE_ARCH_TRANSLATION CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/native-fallback/arch/x86_64/*.cc ${CMAKE_SOURCE_DIR}/native-fallback/arch/x86_64/*.S)
# The translation layer's guest home (MmOps over the engine, bare-machine platform) is not in the hypervisor.
file(GLOB NOPTE_ARCH_TRANSLATION_GUEST CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/native-fallback/guest/arch/x86_64/*.cc
  ${CMAKE_SOURCE_DIR}/native-fallback/guest/arch/x86_64/*.S)
file(GLOB NOPTE_ARCH_HV CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/hv-mm/arch/x86_64/*.cc ${CMAKE_SOURCE_DIR}/hv-mm/arch/x86_64/*.S)
file(GLOB NOPTE_ARCH_GUEST CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/guest-mm/arch/x86_64/*.cc ${CMAKE_SOURCE_DIR}/guest-mm/arch/x86_64/*.S
  ${CMAKE_SOURCE_DIR}/guest-mm/arch/x86_64_pv/*.cc ${CMAKE_SOURCE_DIR}/guest-mm/arch/x86_64_pv/*.S)
file(GLOB NOPTE_ARCH_STUBS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/pvops/guest/arch/x86_64/*.cc
  ${CMAKE_SOURCE_DIR}/pvops/guest/arch/x86_64/*.S)

# Objects are linked in this order, and the linker keeps the first copy of an inline function: what the
# guest shares with the translation layer must not lie in the translation layer's segment.
function(nopte_image name script)
  set(objects)
  foreach(part ${ARGN})
    list(APPEND objects $<TARGET_OBJECTS:${part}>)
  endforeach()
  file(WRITE ${CMAKE_BINARY_DIR}/${name}-empty.cc "")
  add_executable(${name} ${CMAKE_BINARY_DIR}/${name}-empty.cc ${objects})
  set_target_properties(${name} PROPERTIES LINK_DEPENDS ${CMAKE_SOURCE_DIR}/${script})
  target_link_options(${name} PRIVATE -nostdlib -static -no-pie -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack
    -Wl,--build-id=none -Wl,--gc-sections -Wl,-Map=${CMAKE_BINARY_DIR}/${name}.map
    -Wl,--no-warn-rwx-segments -T ${CMAKE_SOURCE_DIR}/${script})
endfunction()

# nopte_compiled_for_size(FILE...): of an image, what runs once. Precompiled headers are not for other levels of
# optimisation; what they begin with is included.
function(nopte_compiled_for_size)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_PRECOMPILE_HEADERS ON
    COMPILE_OPTIONS "-Os;-include;${CMAKE_SOURCE_DIR}/pvops/freestanding/boost_shim.h")
endfunction()

function(nopte_part name)
  if(NOT "${ARGN}" STREQUAL "")
    add_library(${name} OBJECT ${ARGN})
    target_compile_options(${name} PRIVATE ${NOPTE_FREESTANDING_FLAGS})
    target_compile_definitions(${name} PRIVATE NOPTE_FREESTANDING=1)
    # What Boost.Intrusive needs to know about a freestanding world comes before everything else.
    if(name STREQUAL image_headers)
      target_precompile_headers(${name} PRIVATE ${CMAKE_SOURCE_DIR}/pvops/freestanding/boost_shim.h ${NOPTE_USUAL_HEADERS})
    else()
      target_precompile_headers(${name} REUSE_FROM image_headers)
    endif()
  else()
    file(WRITE ${CMAKE_BINARY_DIR}/${name}-empty.cc "")
    add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/${name}-empty.cc)
  endif()
endfunction()

file(WRITE ${CMAKE_BINARY_DIR}/image_headers.cc "")
nopte_part(image_headers ${CMAKE_BINARY_DIR}/image_headers.cc)
set(pvops_shared ${NOPTE_PVOPS})
list(FILTER pvops_shared EXCLUDE REGEX "pvops/guest/")
set(pvops_guest ${NOPTE_PVOPS})
list(FILTER pvops_guest INCLUDE REGEX "pvops/guest/")
set(translation_shared ${NOPTE_TRANSLATION})
list(FILTER translation_shared EXCLUDE REGEX "native-fallback/guest/")
set(translation_guest ${NOPTE_TRANSLATION})
list(FILTER translation_guest INCLUDE REGEX "native-fallback/guest/")

nopte_part(image_pvops ${pvops_shared} ${NOPTE_ARCH_PVOPS})
nopte_part(image_stubs ${pvops_guest} ${NOPTE_ARCH_STUBS})
nopte_part(image_translation ${translation_shared} ${NOPTE_ARCH_TRANSLATION})
# The guest home in three: what every image has, the engine over the bare machine, and the other interfaces. The image
# without paravirtualisation has a second part of its own and no third.
set(translation_bare ${NOPTE_ARCH_TRANSLATION_GUEST})
set(translation_interfaces ${NOPTE_ARCH_TRANSLATION_GUEST})
list(FILTER translation_bare INCLUDE REGEX "/(native_platform)\\.cc$")
list(FILTER translation_interfaces EXCLUDE REGEX "/(boot_main|native_boot|native_platform)\\.cc$")
list(REMOVE_ITEM NOPTE_ARCH_TRANSLATION_GUEST ${translation_bare} ${translation_interfaces})
nopte_part(image_translation_guest ${translation_guest} ${NOPTE_ARCH_TRANSLATION_GUEST})
nopte_part(image_translation_bare ${translation_bare})
# The operations of interfaces are virtual so that they are there once: no guesses at whose they are, each with a copy. The
# engine's file is not padded, there and in the image without paravirtualisation: what its functions end in costs more than
# a branch to an odd address.
set_source_files_properties(${CMAKE_SOURCE_DIR}/native-fallback/guest/arch/x86_64/interfaces_home.cc
  ${CMAKE_SOURCE_DIR}/native-fallback/guest/arch/x86_64/without_paravirt/bound_calls.cc PROPERTIES COMPILE_OPTIONS
  "-fno-devirtualize-speculatively;-falign-functions=1;-falign-loops=1;-falign-jumps=1;-falign-labels=1")
nopte_compiled_for_size(${CMAKE_SOURCE_DIR}/native-fallback/guest/arch/x86_64/xenpv_boot.cc)
nopte_part(image_translation_interfaces ${translation_interfaces})
# kernel_main() and what traps lead to apart: the conformance image puts its own in that place.
set(guest_main ${CMAKE_SOURCE_DIR}/guest-mm/kernel/main.cc ${CMAKE_SOURCE_DIR}/guest-mm/kernel/traps.cc)
set(guest_without_main ${NOPTE_GUEST})
list(REMOVE_ITEM guest_without_main ${guest_main})
set(guest_choice ${NOPTE_ARCH_GUEST})
list(FILTER guest_choice INCLUDE REGEX "/(choose_backend|call_sites)\\.cc$|/x86_64_pv/")
list(REMOVE_ITEM NOPTE_ARCH_GUEST ${guest_choice})
set(choosing ${guest_choice})
list(FILTER choosing INCLUDE REGEX "\\.cc$")
nopte_compiled_for_size(${choosing} ${CMAKE_SOURCE_DIR}/guest-mm/arch/x86_64/without_paravirt/choose_native.cc)
nopte_part(image_guest ${guest_without_main} ${NOPTE_ARCH_GUEST})
nopte_part(image_choice ${guest_choice})
nopte_part(image_guest_main ${guest_main})
file(GLOB conformance_image_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/conformance/*.cc
  ${CMAKE_SOURCE_DIR}/tests/conformance/cases/*.cc ${CMAKE_SOURCE_DIR}/tests/conformance/booted/*.cc)
nopte_part(image_conformance ${conformance_image_sources})
nopte_part(image_hv ${NOPTE_HV} ${NOPTE_ARCH_HV})

# QEMU finds where the image begins, or the build fails.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
function(nopte_enters_by_pvh name)
  set(gate ${CMAKE_SOURCE_DIR}/tests/gates/pvh_note.py)
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${gate})
  add_custom_command(TARGET ${name} POST_BUILD VERBATIM
    COMMAND ${Python3_EXECUTABLE} ${gate} $<TARGET_FILE:${name}>)
endfunction()

if(EXISTS ${CMAKE_SOURCE_DIR}/guest-mm/arch/x86_64/guest.ld)
  set(arch ${CMAKE_SOURCE_DIR}/guest-mm/arch/x86_64)
  function(nopte_guest_image name main)
    nopte_image(${name} guest-mm/arch/x86_64/guest.ld
      ${main} image_guest image_choice image_stubs image_pvops image_translation image_translation_guest
      image_translation_bare image_translation_interfaces)
    nopte_enters_by_pvh(${name})
    target_link_options(${name} PRIVATE -Wl,--emit-relocs)
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${arch}/embed_call_sites.py ${arch}/embed_symbols.py)
    add_custom_command(TARGET ${name} POST_BUILD VERBATIM
      COMMAND ${Python3_EXECUTABLE} ${arch}/embed_call_sites.py $<TARGET_FILE:${name}>
      COMMAND ${Python3_EXECUTABLE} ${arch}/embed_symbols.py $<TARGET_FILE:${name}>)
  endfunction()
  nopte_guest_image(nopte-guest image_guest_main)
  nopte_guest_image(nopte-conformance image_conformance)

  # What experiments/census measures nopte-guest against: the same kernel with its calls bound when it is compiled,
  # for the bare machine alone.
  nopte_part(image_native_choice ${arch}/without_paravirt/choose_native.cc)
  nopte_part(image_translation_native
    ${CMAKE_SOURCE_DIR}/native-fallback/guest/arch/x86_64/without_paravirt/bound_calls.cc)
  nopte_image(nopte-guest-native guest-mm/arch/x86_64/guest.ld
    image_guest_main image_guest image_native_choice image_pvops image_translation image_translation_guest
    image_translation_native)
  nopte_enters_by_pvh(nopte-guest-native)
  add_custom_command(TARGET nopte-guest-native POST_BUILD VERBATIM
    COMMAND ${Python3_EXECUTABLE} ${arch}/embed_symbols.py $<TARGET_FILE:nopte-guest-native>)
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/hv-mm/arch/x86_64/hv.ld)
  nopte_image(nopte-hv hv-mm/arch/x86_64/hv.ld image_hv image_pvops image_translation)
  nopte_enters_by_pvh(nopte-hv)
endif()

# The guest of the container's boot tests: everything that a guest has no right to.
file(GLOB hostile_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/boot/hostile/*.cc
  ${CMAKE_SOURCE_DIR}/tests/boot/hostile/*.S)
nopte_part(image_hostile ${hostile_sources} ${CMAKE_SOURCE_DIR}/pvops/freestanding/memory.cc)
nopte_image(hostile-guest tests/boot/hostile/hostile.ld image_hostile)
